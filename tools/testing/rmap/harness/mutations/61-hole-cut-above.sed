# SPDX-License-Identifier: GPL-2.0
# The part of a hole above the range that cuts it is lost to nothing.
/^[a-z].*\bmend_gap(/,/^}/ s/offer_gap(node, gap_first, min(first, gap_end));/offer_gap(node, gap_first, gap_end);/
