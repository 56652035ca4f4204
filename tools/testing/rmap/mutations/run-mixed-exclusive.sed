# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: a run takes shared pages for exclusive
/^static inline bool same_page(/,/^}/s/PageAnonExclusive(page) == exclusive/true/
