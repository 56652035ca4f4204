# SPDX-License-Identifier: GPL-2.0
# Reclaim takes the lock that this allocation holds.
/^[a-z].*\bsettle(/,/^}/ s/GFP_NOWAIT/GFP_KERNEL/
