# SPDX-License-Identifier: GPL-2.0
# A decision to stay is not remembered.
/^[a-z].*\bsettle(/,/^}/ s/^\tWRITE_ONCE(vma->anon_inherited, false);/\tif (own)\n\t\tWRITE_ONCE(vma->anon_inherited, false);/
