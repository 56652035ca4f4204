# SPDX-License-Identifier: GPL-2.0
# The child's vmas end up on several nodes.
/^[a-z].*\banon_vma_fork(/,/^}/ s/if (own && own->parent == node)/if (0)/
