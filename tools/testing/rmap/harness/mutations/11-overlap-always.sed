# SPDX-License-Identifier: GPL-2.0
# Costs only: every node is searched for more.
/^[a-z].*\balloc_node(/,/^}/ s/node->overlap = false;/node->overlap = true;/
