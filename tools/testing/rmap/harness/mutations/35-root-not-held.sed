# SPDX-License-Identifier: GPL-2.0
# The lock lives in the root; it may go first.
/^[a-z].*\binit_child(/,/^}/ s/get_anon_vma(node->root);//
