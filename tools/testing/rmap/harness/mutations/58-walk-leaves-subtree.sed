# SPDX-License-Identifier: GPL-2.0
# A walk goes on to the siblings of its top.
/^[a-z].*\bnext_branch(/,/^}/ s/node != top;/node->parent;/
