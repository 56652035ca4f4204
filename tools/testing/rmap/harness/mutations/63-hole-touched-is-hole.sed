# SPDX-License-Identifier: GPL-2.0
# A range partly in the hole is skipped.
/^[a-z].*\bin_gap(/,/^}/ s/node->gap_first <= first/node->gap_first <= last/
