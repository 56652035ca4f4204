# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: write protection by userfaultfd is lost in swap
/^static inline pte_t entry_pte(/,/^}/{ /pte_uffd_wp(old)/,+1d }
