#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: DIRECTORY GOOD: a line of the table for the broken harness in DIRECTORY: after how
# many random operations it is caught, to how many these shrink, and by which check. The
# shrunk history must fail there and pass in GOOD, which is not broken. Else by a case.

dir=$1
good=$2
log=$dir/log
longest=24
ops=300000

# row OPERATIONS SHRUNK CHECK
row()
{
	printf '%-32s\t%s\t%s\t%s\n' "$(basename "$dir")" "$1" "$2" "$3"
}

# field PATTERN: what its group matches in the log, once
field()
{
	sed -n "s/^# $1.*/\1/p" "$log" | head -n 1
}

random()
{
	rm -f "$dir"/*.replay
	timeout 120 "$dir/harness" --ops $ops --output "$dir" > "$log" 2>&1 && return 1
	after=$(field 'caught after \([0-9]*\) op')
	shrunk=$(field 'shrunk from [0-9]* operations to \([0-9]*\):')
	by=$(field 'caught after [0-9]* operations: \(.*\)')
	if [ "${shrunk:-$((longest + 1))}" -gt $longest ]; then
		by="FAILED: not shrunk, log: $log"
	elif "$dir/harness" --replay "$dir"/*.replay > /dev/null 2>&1; then
		by="FAILED: does not fail again, log: $log"
	elif ! "$good" --replay "$dir"/*.replay > /dev/null 2>&1; then
		by="FAILED: fails when nothing is broken, too, log: $log"
	fi
	row "$after" "$shrunk" "$by"
}

by_case()
{
	timeout 120 "$dir/harness" --stop > "$log" 2>&1 && return 1
	row "> $ops" - "$(sed -n 's/^not ok [0-9]* - //p' "$log"): $(field 'failed: \(.*\)')"
}

random || by_case || row "> $ops" - "FAILED: survived, log: $log"
