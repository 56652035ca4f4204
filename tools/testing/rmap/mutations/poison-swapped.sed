# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: a poisoned page is swapped out, or dropped, as any other
/^static enum step unmap_run(/,/^}/s/if (unlikely(um->flags & TTU_HWPOISON) && is_poisoned(run)) {/if (0) {/
