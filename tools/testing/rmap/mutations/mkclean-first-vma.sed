# SPDX-License-Identifier: GPL-2.0
# mm/rmap_age.c: what is written back stays writable in all vmas but the first
/^static bool mkclean_one(/,/^}/s/return true;/return false;/
