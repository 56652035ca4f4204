# SPDX-License-Identifier: GPL-2.0
# The node is made, the vma stays.
/^[a-z].*\bsettle(/,/^}/ s/if (own && own->parent == node)/if (0)/
