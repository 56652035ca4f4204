# SPDX-License-Identifier: GPL-2.0
# mm/rmap_unmap.c: a run lowers the counter of resident pages by one
/^static inline void lower_rss(/,/^}/s/-(long)nr/-1/
