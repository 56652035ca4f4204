# SPDX-License-Identifier: GPL-2.0
# The child beside its parent, found as if there were one.
/^[a-z].*\battach_behind(/,/^}/ s/node->overlap = true;//
