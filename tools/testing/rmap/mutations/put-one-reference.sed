# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: a run drops one reference
/^static __always_inline enum step finish_run(/,/^}/s/folio_put_refs(um->folio, run->nr)/folio_put(um->folio)/
