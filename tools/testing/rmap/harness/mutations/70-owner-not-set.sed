# SPDX-License-Identifier: GPL-2.0
# A node that is taken over keeps the owner it had.
/^[a-z].*\btake_over(/,/^}/ { s/rb_erase(.*/;/; s/set_owner(node, mm->anon_owner);/;/ }
