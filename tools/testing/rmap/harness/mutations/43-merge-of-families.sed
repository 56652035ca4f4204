# SPDX-License-Identifier: GPL-2.0
# Vmas of two families become one.
/^[a-z].*\banon_vma_mergeable(/,/^}/ s/return a->root == b->root;/return true;/
