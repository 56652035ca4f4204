# SPDX-License-Identifier: GPL-2.0
# The last vma that begins before is not the one that holds.
/^[a-z].*\bfind_disjoint(/,/^}/ s/return found && .*/return found;/
