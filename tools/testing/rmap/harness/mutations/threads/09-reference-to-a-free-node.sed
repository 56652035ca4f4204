# SPDX-License-Identifier: GPL-2.0
# The count of a free node rises from zero.
/^struct anon_vma \*folio_get_anon_vma(/,/^}/ s/!atomic_inc_not_zero(&node->refcount)/!(__atomic_add_fetch(\&node->refcount.counter, 1, __ATOMIC_ACQ_REL))/
