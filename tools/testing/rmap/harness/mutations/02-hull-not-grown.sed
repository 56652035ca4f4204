# SPDX-License-Identifier: GPL-2.0
# A vma outside the hull does not widen it.
/^[a-z].*\battach(/,/^}/ s/grow_hull(node, top, first, last);//
