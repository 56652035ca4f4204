#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# locks SECONDS: how long the lock of a family is held, and waited for, while many want it.
# Nobody may wait longer than all the others together can hold it: by lock_stat, which a
# kernel with CONFIG_LOCK_STAT has.

CONTENDERS=16	# more than rmap_race ever has at once
stat=/proc/lock_stat

[ -f $stat ] || {
	echo "ok 1 locks.wait_is_bounded # SKIP no lock_stat"
	exit 0
}
echo 0 >$stat
echo 1 >/proc/sys/kernel/lock_stat
rmap_race "${1:-20}" || exit
echo 0 >/proc/sys/kernel/lock_stat

# class: con-bounces contentions wait-min -max -total -avg, acq-bounces acquisitions
# hold-min -max -total -avg
awk -v contenders=$CONTENDERS '
/&node->rwsem-[WR]:/ {
	sub(/.*&node->rwsem/, "")
	kind = substr($1, 2, 1)
	contended[kind] += $3; taken[kind] += $9
	if ($5 > wait) wait = $5
	if ($11 > hold) hold = $11
	printf "# family lock, %s: taken %d times, held %.1f us on average, %.0f at most; " \
		"contended %d times, waited for %.1f us on average, %.0f at most\n",
		kind == "W" ? "to write" : "to read", $9, $13, $11, $3, $7, $5
}
END {
	good = taken["W"] > 1000 && taken["R"] > 1000
	print (good ? "" : "not ") "ok 1 locks.taken"
	bounded = wait <= contenders * hold
	print (bounded ? "" : "not ") "ok 2 locks.wait_is_bounded"
	exit !(good && bounded)
}' $stat
