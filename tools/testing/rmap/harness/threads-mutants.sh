#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: DIR: run the threads of every mutant in DIR. One that passes has survived.

nr=0
survived=0
echo "TAP version 13"
for dir in "$1"/*/; do
	nr=$((nr + 1))
	name=$(basename "$dir")
	log=$dir/log
	start=$(date +%s)
	timeout 60 "$dir/threads" --seconds 30 > "$log" 2>&1
	status=$?
	by=$(sed -nE 's/^(# failed: |SUMMARY: ThreadSanitizer: )//; t end; d
		:end; s|[^ ]*/||g; p; q' "$log")
	[ $status -ne 124 ] || by=hangs
	if [ -n "$by" ]; then
		echo "ok $nr - $name: after $(($(date +%s) - start)) s, $by"
	else
		survived=$((survived + 1))
		echo "not ok $nr - $name: nothing noticed, status $status, log: $log"
	fi
done
echo "# $((nr - survived)) noticed, $survived survived"
echo "1..$nr"
[ "$survived" -eq 0 ] && [ "$nr" -gt 0 ]
