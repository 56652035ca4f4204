# SPDX-License-Identifier: GPL-2.0
# Of those that begin before, the first found.
/^[a-z].*\bfind_disjoint(/,/^}/ s/rb = rb->rb_right;/rb = NULL;/
