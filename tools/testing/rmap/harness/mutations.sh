#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: DIR: run the harness of every mutant in DIR. One that passes has survived.

nr=0
survived=0
echo "TAP version 13"
for dir in "$1"/*/; do
	nr=$((nr + 1))
	name=$(basename "$dir")
	if timeout 120 "$dir/harness" --stop > "$dir/log" 2>&1; then
		survived=$((survived + 1))
		echo "not ok $nr - $name: nothing noticed, log: $dir/log"
	else
		echo "ok $nr - $name: $(sed -n 's/^not ok [0-9]* - //p' "$dir/log")"
	fi
done
echo "# $((nr - survived)) noticed, $survived survived"
echo "1..$nr"
[ "$survived" -eq 0 ] && [ "$nr" -gt 0 ]
