# SPDX-License-Identifier: GPL-2.0
# Freed under someone who holds the lock.
/^[a-z].*\bfree_node(/,/^}/ s/if (rwsem_is_locked([^{]*))/if (0)/
