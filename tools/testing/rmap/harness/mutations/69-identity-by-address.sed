# SPDX-License-Identifier: GPL-2.0
# An mm is known by its address, which another gets when it has gone.
/^[a-z].*\bproc_new(/,/^}/ s/= anon_vma_new_owner();/= (unsigned long)proc;/
