# SPDX-License-Identifier: GPL-2.0
# The sibling before does not learn of the new one.
/^[a-z].*\blink_sibling(/,/^}/ s/prev->next = node;/;/
