# SPDX-License-Identifier: GPL-2.0
# The child never asks for a node of its own.
/^[a-z].*\banon_vma_fork(/,/^}/ s/vma->anon_inherited = true;//
