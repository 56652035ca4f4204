# SPDX-License-Identifier: GPL-2.0
# A vma without a node has none to inherit.
/^[a-z].*\bunlink_locked(/,/^}/ s/vma->anon_inherited = false;//
