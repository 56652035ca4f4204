# SPDX-License-Identifier: GPL-2.0
# The heir's pages are then looked for in the children.
/^[a-z].*\btake_over(/,/^}/ s/if (!RB_EMPTY_ROOT(&node->children.rb_root))/if (0)/
