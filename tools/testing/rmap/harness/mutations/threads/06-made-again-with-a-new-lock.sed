# SPDX-License-Identifier: GPL-2.0
# The lock of a free node may be held: it is made only once.
/^[a-z].*\balloc_node(/,/^}/ s/^\tnode->overlap = false;/&\n\tinit_rwsem(\&node->rwsem);/
