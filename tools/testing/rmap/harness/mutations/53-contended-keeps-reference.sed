# SPDX-License-Identifier: GPL-2.0
# The reference that bridged the wait is not dropped.
/^[a-z].*\bfolio_lock_contended(/,/^}/ s/if (node && atomic_dec_and_test(&node->refcount)) {/if (0) {/
