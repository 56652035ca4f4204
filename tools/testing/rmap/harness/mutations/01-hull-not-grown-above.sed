# SPDX-License-Identifier: GPL-2.0
# The hulls above the node's own stay as they are.
/^[a-z].*\bgrow_hull(/,/^}/ s/for (; \(!hull_covers(node, first, last)\); node = node->parent)/if (\1)/
