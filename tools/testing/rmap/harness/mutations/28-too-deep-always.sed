# SPDX-License-Identifier: GPL-2.0
# A worker of a daemon never gets a node.
/^[a-z].*\btoo_deep(/,/^}/ s/return false;/return node->parent;/
