# SPDX-License-Identifier: GPL-2.0
# mm/rmap_age.c: multi-gen LRU looks at the first pte of a run only
/^static unsigned int look_around(/,/^}/s/i < nr; i++/i < 1; i++/
