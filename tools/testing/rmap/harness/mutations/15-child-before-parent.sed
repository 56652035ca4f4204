# SPDX-License-Identifier: GPL-2.0
# Migration must meet the parent first.
/^[a-z].*\battach_behind(/,/^}/ { s/&parent->rb_right/\&parent->X/; s/&parent->rb_left/\&parent->rb_right/; s/&parent->X/\&parent->rb_left/ }
