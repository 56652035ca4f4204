# SPDX-License-Identifier: GPL-2.0
# Costs only: every sibling is entered.
/^[a-z].*\bnext_sibling(/,/^}/ s/if (likely(next->hull_last >= first))/if (1)/
