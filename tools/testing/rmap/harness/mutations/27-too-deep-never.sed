# SPDX-License-Identifier: GPL-2.0
# An endless chain of generations grows without bound.
/^[a-z].*\btoo_deep(/,/^}/ s/return true;/return false;/
