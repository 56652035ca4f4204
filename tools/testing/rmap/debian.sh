#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# debian COMMAND...: in the guest, run COMMAND in the Debian system on the first disk, with
# what a tar archive on the second one adds to it.

mkdir -p /debian
mount -t ext2 /dev/vda /debian || exit
for dir in proc sys dev; do
	mount -o rbind /$dir /debian/$dir || exit
done
tar -C /debian -xf /dev/vdb || exit
exec chroot /debian env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
