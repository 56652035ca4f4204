# SPDX-License-Identifier: GPL-2.0
# Two processes with one id.
/^[a-z].*\banon_vma_new_owner(/,/^}/ s/return atomic64_inc_return(&last_owner);/return atomic64_inc_return(\&last_owner) % 3 + 1;/
