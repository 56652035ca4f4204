# SPDX-License-Identifier: GPL-2.0
# Two first faults of a vma attach it twice.
/^[a-z].*\battach_first(/,/^}/ s/^\tspin_\(un\)\?lock(.*;$//
