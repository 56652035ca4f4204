# SPDX-License-Identifier: GPL-2.0
# The folio was pointed elsewhere while waiting.
/^[a-z].*\bfolio_lock_contended(/,/^}/ s/if (likely(mapped_node(folio) == node))/if (1)/
