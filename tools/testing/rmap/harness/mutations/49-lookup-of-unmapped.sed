# SPDX-License-Identifier: GPL-2.0
# A folio that nobody maps may point anywhere.
/^[a-z].*\bmapped_node(/,/^}/ s/if (!folio_mapped(folio))/if (0)/
