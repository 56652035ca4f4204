# SPDX-License-Identifier: GPL-2.0
# mm/rmap_age.c: only the first vma is asked whether the folio was used
/^referenced_in(/,/^}/s/return ref->mapcount;/return false;/
