# SPDX-License-Identifier: GPL-2.0
# No process gets a node of its own.
/^[a-z].*\bsettle(/,/^}/ s/if (!own && .*/if (0) {/
