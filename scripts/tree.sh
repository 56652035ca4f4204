# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by compose, refresh and series: the two views of ours, the files of this
# repository and the composed tree, both named by git tree ids in build/linux.

# Where the last composed tree is remembered, to tell edits from what was composed.
export COMPOSED=refs/rmap/composed
WORKTREE_INDEX=$LINUX/.git/rmap.index.$$
trap 'rm -f "$WORKTREE_INDEX"' EXIT

# What belongs to this repository alone; everything else has its place in the kernel.
OWN='^(Makefile|README\.md|COPYING|\..*|scripts/.*|configs/.*|series/.*|build/.*)$'

in_linux()
{
	git -C "$LINUX" "$@"
}

# Repository files that are ours, tracked or new.
overlay_files()
{
	git -C "$TOP" ls-files -co --exclude-standard | sort -u | while read -r file; do
		[[ ! $file =~ $OWN ]] || continue
		[ -L "$TOP/$file" ] && die "$file is a symbolic link"
		[ ! -f "$TOP/$file" ] || echo "$file"
	done
}

# with_index INDEX git-command...
with_index()
{
	GIT_INDEX_FILE=$1 in_linux "${@:2}"
}

# Here and below, few processes: some hosts are slow to start them.
add_whole_files()
{
	local dir=$1 index=$2 n=0 names file id mode

	mapfile -t names
	[ "${#names[@]}" -gt 0 ] || return 0
	printf '%s\n' "${names[@]/#/$dir/}" |
		in_linux hash-object -w --no-filters --stdin-paths | while read -r id; do
		file=${names[n++]}
		mode=100644
		[ ! -x "$dir/$file" ] || mode=100755
		printf '%s %s\t%s\n' "$mode" "$id" "$file"
	done | with_index "$index" update-index --index-info
}

# The names that a patch touches must be the one that its place says.
check_patch_names()
{
	local wrong

	# shellcheck disable=SC2016 # awk's
	wrong=$(cd "$1" && xargs -rd '\n' awk '
		sub(/^diff --git a\//, "") { sub(/ b\/.*/, ""); names[FILENAME] = names[FILENAME] $0 ".patch" }
		END {
			for (i = 1; i < ARGC; i++)
				if (names[ARGV[i]] != ARGV[i]) {
					print ARGV[i]
					exit
				}
		}')
	[ -z "$wrong" ] ||
		die "$wrong: must patch ${wrong%.patch}, once, and nothing else"
}

# Say which hunk of which patch fails, and what to do about it.
explain_failed_patches()
{
	local dir=$1 file out

	while read -r file; do
		in_linux cat-file -e "base:${file%.patch}" 2> /dev/null ||
			say "error: $file: the base has no ${file%.patch}"
		out=$(patch -d "$BASE" -p1 -f -F0 --dry-run < "$dir/$file" 2>&1) && continue
		grep '^Hunk.*FAILED' <<< "$out" | sed "s,^,error: $file: ," >&2 || true
	done
	die "ours does not apply to Linux $(base_version), nothing was composed." \
		"Make each hunk named above fit the file in $BASE" \
		"(ours was made for $(made_for)), or set BASE_TARBALL to that version."
}

apply_patches()
{
	local dir=$1 index=$2 list=$3

	check_patch_names "$dir" < "$list"
	(cd "$dir" && xargs -rd '\n' grep -l '^deleted file mode') < "$list" > "$index.gone" || true
	sed 's/\.patch$//' "$index.gone" |
		with_index "$index" update-index --force-remove --stdin
	{ grep -vxFf "$index.gone" "$list" || true; } |
		(cd "$dir" && xargs -rd '\n' cat) > "$index.diff"
	[ -s "$index.diff" ] || return 0
	with_index "$index" apply --cached --whitespace=nowarn "$index.diff" \
		2> "$LOGS/apply.log" || explain_failed_patches "$dir" < "$list"
}

# overlay_tree DIR < FILES: the tree id of base plus those files of DIR.
overlay_tree()
{
	local dir=$1 work index

	work=$(mktemp -d "$BUILD/overlay.XXXXXX")
	index=$work/index
	cat > "$work/files"
	grep '\.patch$' "$work/files" > "$work/patches" || true
	with_index "$index" read-tree base
	grep -v '\.patch$' "$work/files" | add_whole_files "$dir" "$index"
	apply_patches "$dir" "$index" "$work/patches"
	with_index "$index" write-tree
	rm -rf "$work"
}

# The tree id of what stands in build/linux now, edits and new files included. Debian's
# .gitignore hides all that is new ("/*"): that rule alone is taken back. The index that
# knows all this is left at $WORKTREE_INDEX.
worktree_tree()
{
	cp "$LINUX/.git/index" "$WORKTREE_INDEX"
	with_index "$WORKTREE_INDEX" add -u
	with_index "$WORKTREE_INDEX" ls-files -o --exclude-per-directory=.gitignore \
		-x '!/*' -x '/.*' | with_index "$WORKTREE_INDEX" update-index --add --stdin
	with_index "$WORKTREE_INDEX" write-tree
}

# changed TREE TREE: the paths that differ.
changed()
{
	in_linux diff-tree -r --no-renames --name-only "$1" "$2"
}

# entry TREE PATH: mode and blob, empty if the path is not there.
entry()
{
	in_linux ls-tree "$1" -- "$2" | cut -f1
}

base_version()
{
	in_linux show base:Makefile | awk '
		$1 == "VERSION" { v = $3 } $1 == "PATCHLEVEL" { p = $3 }
		$1 == "SUBLEVEL" { print v "." p "." $3; exit }'
}

made_for()
{
	sed -n 's/^# base Linux //p' "$TOP/series/base" 2> /dev/null
}

# Of FILES of ours on stdin, the checksums of the base files that they stand for.
touched_base_files()
{
	sed 's/\.patch$//' | while read -r file; do
		[ ! -f "$BASE/$file" ] || (cd "$BASE" && sha256sum "$file")
	done
}
