# SPDX-License-Identifier: GPL-2.0
# mm/rmap_flush.c: what was put off is never flushed
/^void try_to_unmap_flush(void)/,/^}/s/^\tarch_tlbbatch_flush(.*//
