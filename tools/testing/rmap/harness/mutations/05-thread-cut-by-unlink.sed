# SPDX-License-Identifier: GPL-2.0
# The sibling before goes on to one that has left.
/^[a-z].*\bunlink_sibling(/,/^}/ s/prev->next = node->next;/;/
