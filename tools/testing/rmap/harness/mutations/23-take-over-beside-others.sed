# SPDX-License-Identifier: GPL-2.0
# The heir's pages are then looked for in the others.
/^[a-z].*\btake_over(/,/^}/ s/if (rb_to_vma(rb)->vm_mm != mm)/if (0)/
