# SPDX-License-Identifier: GPL-2.0
# mm/rmap_count.c: a folio that is mapped in part is never split
/^static __always_inline int remove_ptes(/,/^}/s/\*partial = mapped > 0;/*partial = false;/
