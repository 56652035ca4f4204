# SPDX-License-Identifier: GPL-2.0
# The hole beyond the hull takes its last index with it.
/^[a-z].*\bmend_gap(/,/^}/ s/offer_gap(node, node->hull_last + 1, first);/offer_gap(node, node->hull_last, first);/
