# SPDX-License-Identifier: GPL-2.0
# Two first faults, and the loser attaches, too.
/^[a-z].*\battach_first(/,/^}/ s/likely(!vma->anon_vma)/true/
