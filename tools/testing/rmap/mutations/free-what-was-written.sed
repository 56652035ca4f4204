# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: MADV_FREE drops what was written again
/^static bool free_lazily(/,/^}/s/(droppable || !folio_test_dirty(folio))/true/
