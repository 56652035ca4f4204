# SPDX-License-Identifier: GPL-2.0
# The last child leaves the root behind.
/^[a-z].*\b__put_anon_vma(/,/^}/ s/put_anon_vma(root);/;/
