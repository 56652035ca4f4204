# SPDX-License-Identifier: GPL-2.0
# A first write after fork changes the tree that others walk.
/^[a-z].*\bsettle_inherited(/,/^}/ s/lock_write/lock_read/
