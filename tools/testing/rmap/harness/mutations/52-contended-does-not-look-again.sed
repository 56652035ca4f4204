# SPDX-License-Identifier: GPL-2.0
# The folio was pointed elsewhere while waiting.
/^[a-z].*\bfolio_lock_contended(/,/^}/ s/= mapped_node(folio) == node;/= true;/
