# SPDX-License-Identifier: GPL-2.0
# The first fault makes a family where it could join one.
/^[a-z].*\battach_first(/,/^}/ s/find_mergeable_anon_vma(vma)/NULL/
