# SPDX-License-Identifier: GPL-2.0
# The common fork, then exit of the parent, makes a node.
/^[a-z].*\bsettle(/,/^}/ s/!take_over([^)]*)/true/
