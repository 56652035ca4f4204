# SPDX-License-Identifier: GPL-2.0
# The tree does not know how far the new vma reaches.
/^[a-z].*\battach_behind(/,/^}/ s/vma->anon_link.rb_subtree_last = last;/vma->anon_link.rb_subtree_last = 0;/
