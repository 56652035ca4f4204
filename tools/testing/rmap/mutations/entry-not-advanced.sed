# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: all ptes of a run get the first swap entry
/^static bool swap_out_ptes(/,/^}/{ /entry\.val++;/d }
