# SPDX-License-Identifier: GPL-2.0
# The hulls above the node's own stay as they are.
/^[a-z].*\bgrow_hull(/,/^}/ s/node = node->parent)/node = top)/
