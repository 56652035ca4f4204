# SPDX-License-Identifier: GPL-2.0
# A node goes while its vmas need it.
/^[a-z].*\bprune(/,/^}/ s/RB_EMPTY_ROOT(&node->vmas.rb_root)/true/
