# SPDX-License-Identifier: GPL-2.0
# Costs only: every sibling is entered.
s/if (likely(next->hull_last >= first))/if (1)/
