# SPDX-License-Identifier: GPL-2.0
# mm/rmap_count.c: a huge page of which ptes map a part is never split
/^static int remove_pmd(/,/^}/s/\*partial = nr && nr < \*nr_pmd;/*partial = false;/
