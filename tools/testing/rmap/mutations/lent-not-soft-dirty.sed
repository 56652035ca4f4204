# SPDX-License-Identifier: GPL-2.0
# mm/rmap_device.c: the entry of a page that is lent is not soft-dirty
/^static pte_t device_exclusive_pte(/,/^}/{ /pte_soft_dirty(old)/,+1d }
