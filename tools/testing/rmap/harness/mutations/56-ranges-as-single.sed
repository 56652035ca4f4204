# SPDX-License-Identifier: GPL-2.0
# A folio of several pages, found as if of one.
/^[a-z].*\bfirst_vma(/,/^}/ s/iter->more = .*/iter->more = node->overlap;/
