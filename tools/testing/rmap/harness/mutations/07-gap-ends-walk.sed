# SPDX-License-Identifier: GPL-2.0
# A sibling that cannot hold the index ends the walk of all.
s/next = child_tree_iter_next(next, first, last);/next = NULL;/
