# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: of a run that cannot be removed one pte is put back
/^static enum step put_back(/,/^}/s/run->nr)/1)/
