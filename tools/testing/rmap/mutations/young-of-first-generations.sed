# SPDX-License-Identifier: GPL-2.0
# mm/rmap_age.c: multi-gen LRU looks at the first pte of a run only
/^static bool look_around(/,/^}/s/if (!--nr)/if (nr > 1)\n\t\t\tpage_vma_mapped_walk_skip(pvmw, nr - 1);\n\t\tif (true)/
