# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: only the first run in a vma is found
s/} while (step == STEP_NEXT && rmap_next_entry(&um->pvmw));/} while (0);\n\t\tif (step == STEP_NEXT)\n\t\t\tpage_vma_mapped_walk_done(\&um->pvmw);/
