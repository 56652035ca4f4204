# SPDX-License-Identifier: GPL-2.0
# mm/rmap.c: a walk ends after the first vma
/^static void walk(/,/^}/s/if (rwc->done && rwc->done(folio))/if (true)/
