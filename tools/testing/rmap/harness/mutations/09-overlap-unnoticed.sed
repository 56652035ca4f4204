# SPDX-License-Identifier: GPL-2.0
# Two vmas on one index, found as if there were one.
/^[a-z].*\battach(/,/^}/ s/node->overlap = vma_tree_iter_first.*/;/
