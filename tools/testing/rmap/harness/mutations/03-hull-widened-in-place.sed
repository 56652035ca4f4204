# SPDX-License-Identifier: GPL-2.0
# The hull is a key of the tree of siblings.
/^[a-z].*\bgrow_hull(/,/^}/ s/\(un\)\?link_sibling(node);//
