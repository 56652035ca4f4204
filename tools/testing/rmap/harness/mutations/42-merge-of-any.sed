# SPDX-License-Identifier: GPL-2.0
# A family inherited from a parent spreads.
/^[a-z].*\banon_vma_mergeable(/,/^}/ s/return !a || anon_vma_is_own_root(a, mm);/return true;/
