# SPDX-License-Identifier: GPL-2.0
# A walk goes on to the siblings of its top.
/^[a-z].*\bnext_node_of(/,/^}/ s/if (node == iter->top)/if (!node->parent)/
