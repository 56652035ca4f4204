# SPDX-License-Identifier: GPL-2.0
# The owner is a key of the tree of owned nodes.
/^[a-z].*\btake_over(/,/^}/ { s/rb_erase(.*/;/; s/set_owner(node, mm->anon_owner);/WRITE_ONCE(node->owner, mm->anon_owner);/ }
