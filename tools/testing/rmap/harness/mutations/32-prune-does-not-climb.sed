# SPDX-License-Identifier: GPL-2.0
# What was kept for its last child stays for ever.
/^[a-z].*\bprune(/,/^}/ s/node = node->parent;/node = NULL;/
