# SPDX-License-Identifier: GPL-2.0
# A node that was unlinked is still counted as linked.
/^[a-z].*\bput_dead(/,/^}/ s/put_anon_vma(node);/;/
