# SPDX-License-Identifier: GPL-2.0
# mm/rmap.c: vmas that map only a later part of a folio are not visited
/^static void set_range(/,/^}/s/ + folio_nr_pages(iter->folio) - 1//
