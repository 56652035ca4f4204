# SPDX-License-Identifier: GPL-2.0
# A node goes while its children need it.
/^[a-z].*\bprune(/,/^}/ s/RB_EMPTY_ROOT(&node->children.rb_root)/true/
