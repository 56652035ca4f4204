# SPDX-License-Identifier: GPL-2.0
# A folio of several pages, found as if of one.
s/!node->overlap && first == last/!node->overlap/; s/node->overlap || first != last/node->overlap/
