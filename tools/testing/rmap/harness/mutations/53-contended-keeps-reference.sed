# SPDX-License-Identifier: GPL-2.0
# The reference that bridged the wait is not dropped.
/^[a-z].*\bfolio_lock_contended(/,/^}/ s/put_anon_vma(node);/;/
