# SPDX-License-Identifier: GPL-2.0
# The merged vma goes to the parent's node.
/^[a-z].*\banon_vma_deeper(/,/^}/ s/if (!a || (b && b->parent == a))/if (!a || (b \&\& b == a->parent))/
/^[a-z].*\banon_vma_deeper(/,/^}/ s/VM_WARN_ON_ONCE(.*/;/
