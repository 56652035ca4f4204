# SPDX-License-Identifier: GPL-2.0
# The first child that can hold the index is passed over for the second.
/^[a-z].*\bnext_node_of(/,/^}/ s/next = child_tree_iter_first(.*;/& if (next \&\& next->next) next = next->next;/
