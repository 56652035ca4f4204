# SPDX-License-Identifier: GPL-2.0
# The tree of owned nodes keeps one that has gone.
/^[a-z].*\bprune(/,/^}/ s/rb_erase(.*/;/
