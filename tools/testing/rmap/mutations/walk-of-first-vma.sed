# SPDX-License-Identifier: GPL-2.0
# mm/rmap.c: a walk ends after the first vma
/^static void walk(/,/^}/s/if (!rwc->rmap_one(\(.*\)))$/if (!rwc->rmap_one(\1) || true)/
