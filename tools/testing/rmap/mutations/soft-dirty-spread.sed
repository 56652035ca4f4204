# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: one dirty pte makes the run soft-dirty
/^static __always_inline void take_run(/,/^}/{ /if (!soft_dirty)/,+1d }
