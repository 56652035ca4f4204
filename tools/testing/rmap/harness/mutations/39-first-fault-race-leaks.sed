# SPDX-License-Identifier: GPL-2.0
# Two first faults, and the loser keeps its node.
/^[a-z].*\battach_first(/,/^}/ s/put_anon_vma(unused);/;/
