# SPDX-License-Identifier: GPL-2.0
# An ancestor in use hides those above it.
/^[a-z].*\btoo_deep(/,/^}/ s/continue;/break;/
