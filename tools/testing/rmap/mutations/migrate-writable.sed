# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: shared pages are writable once migrated
/migration_entry(struct page \*page/,/^}/s/if (pte_write(pte))/if (true)/
