# SPDX-License-Identifier: GPL-2.0
# A sibling that cannot hold the index ends the walk of all.
/^[a-z].*\bnext_sibling(/,/^}/ s/return child_tree_iter_next(.*/return NULL;/
