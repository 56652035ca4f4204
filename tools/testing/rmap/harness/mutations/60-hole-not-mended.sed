# SPDX-License-Identifier: GPL-2.0
# A vma attached in the hole does not end it.
/^[a-z].*\bgrow_hull(/,/^}/ s/mend_gap(node, first, last);/;/
