#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: DIR SOURCE LIST: what the program in DIR did not reach in SOURCE, which
# must be what LIST says, each with why.

set -e
dir=$1
source=$2
list=$3
name=$(basename "$source")

# An entry: the function, the source line, how many of its branches were not taken.
cd "$dir"
gcov -b --json-format --stdout "${name%.c}.o" > gcov.json
jq -r --rawfile source "$source" '
	($source | split("\n") | map(gsub("^\\s+"; ""))) as $text |
	[.files[] | select(.file | endswith("/'"$name"'")) | .lines[]] |
	(.[] | ([.branches[] | select(.count == 0)] | length) as $missed |
	 select(.count == 0 or $missed > 0) |
	 "\(.function_name): \($text[.line_number - 1]) [" +
	 if .count == 0 then "never" else "\($missed) of \(.branches | length)" end + "]"),
	"lines \(map(select(.count > 0)) | length) of \(length)",
	"branches \([.[].branches[] | select(.count > 0)] | length) of \([.[].branches[]] | length)"
	' gcov.json > report
grep -E '^(lines|branches) [0-9]' report | awk -v name="$name" '
	{ percent = 100 * $2 / $4; printf "%s: %s %.1f %% (%d of %d)\n", name, $1, percent, $2, $4 }
	percent < ($1 == "lines" ? 98 : 95) { print "not ok: that is too little"; low = 1 }
	END { exit low || NR != 2 }' || bad=1
grep -vE '^(lines|branches) [0-9]' report | LC_ALL=C sort > missed || :
# A reason is indented; an entry has one.
awk '/^#/ || /^$/ { next }
	/^\t/ { reason = 1; next }
	entry && !reason { print "not ok: without a reason: " entry > "/dev/stderr"; bad = 1 }
	{ entry = $0; reason = 0; print }
	END { exit bad || (entry && !reason) }' "$list" | LC_ALL=C sort > accepted
[ "${PIPESTATUS[0]}" -eq 0 ] || bad=1
comm -12 missed accepted | sed 's/^/accepted: /'
comm -23 missed accepted | sed "s|^|not ok: not in $(basename "$list"): |"
comm -13 missed accepted | sed "s|^|not ok: reached now, or gone, but in $(basename "$list"): |"
cmp -s missed accepted && [ -z "$bad" ]
