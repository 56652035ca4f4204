# SPDX-License-Identifier: GPL-2.0
# The parent keeps a child that has gone.
/^[a-z].*\bprune(/,/^}/ s/unlink_sibling(node);/;/
