# SPDX-License-Identifier: GPL-2.0
# What a lower node covers is taken to be covered above.
/^[a-z].*\bgrow_hull(/,/^}/ s/^\t\t\tcontinue;/\t\t\tbreak;/
