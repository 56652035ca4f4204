# SPDX-License-Identifier: GPL-2.0
# The children of a node are not visited.
/^[a-z].*\bnext_node_of(/,/^}/ s/if (!RB_EMPTY_ROOT(&node->children.rb_root))/if (0)/
