#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Run rmap_storm with swap on a small zram first and then on a disk, and its file on ext2.
# For a guest that has nothing else to lose: DISK is overwritten.
#
# usage: storm [options of rmap_storm]
# environment: DISK (default /dev/vda), ZRAM_SIZE (default 96M),
#	PROGRAM (default rmap_storm): what to run instead

DISK=${DISK:-/dev/vda}
ZRAM_SIZE=${ZRAM_SIZE:-96M}
PROGRAM=${PROGRAM:-rmap_storm}
DIR=/tmp/rmap_storm

fail()
{
	echo "# storm: $*"
	exit 1
}

# swap_on DEVICE: the first one is used first, as it gets the higher priority.
swap_on()
{
	mkswap "$1" >/dev/null || fail "cannot make swap of $1"
	swapon "$1" || fail "cannot swap to $1"
}

# Kick kswapd early, and keep pages free beside each other: a guest this slow may otherwise
# run out of memory with free swap, or for the four pages of a kernel stack.
echo 300 >/proc/sys/vm/watermark_scale_factor
echo 16384 >/proc/sys/vm/min_free_kbytes

echo "$ZRAM_SIZE" >/sys/block/zram0/disksize || fail "no zram of $ZRAM_SIZE"
swap_on /dev/zram0
[ -b "$DISK" ] || fail "no disk $DISK"
swap_on "$DISK"

n=$(cat /sys/class/zram-control/hot_add) || fail "no second zram"
echo 32M >"/sys/block/zram$n/disksize"
mkdir -p "$DIR"
mke2fs -b 4096 "/dev/zram$n" >/dev/null 2>&1 || fail "cannot make ext2 on /dev/zram$n"
mount -t ext2 "/dev/zram$n" "$DIR" || fail "cannot mount /dev/zram$n"

"$PROGRAM" --dir "$DIR" "$@"
status=$?

umount "$DIR"
echo "$n" >/sys/class/zram-control/hot_remove
swapoff "$DISK" /dev/zram0
echo 1 >/sys/block/zram0/reset
exit $status
