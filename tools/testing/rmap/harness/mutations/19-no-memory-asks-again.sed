# SPDX-License-Identifier: GPL-2.0
# Without memory every fault pays.
/^[a-z].*\bsettle_inherited(/,/^}/ s/WRITE_ONCE(vma->anon_inherited, false);/;/
