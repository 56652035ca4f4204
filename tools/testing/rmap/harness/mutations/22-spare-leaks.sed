# SPDX-License-Identifier: GPL-2.0
# A node made for nothing is not freed.
/^[a-z].*\bsettle_inherited(/,/^}/ s/kmem_cache_free(anon_vma_cachep, spare);/;/
