# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by every script: where things are, how they speak, how they fail.

set -Eeuo pipefail
trap '[ "$BASHPID" != $$ ] || echo "   (${0##*/}, line $LINENO: $BASH_COMMAND)" >&2' ERR

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$TOP/build}
BASE=$BUILD/base
LINUX=$BUILD/linux
LOGS=$BUILD/log
export BUILD BASE LINUX LOGS
mkdir -p "$LOGS" || exit 1

say()
{
	printf '%s\n' "$*" >&2
}

die()
{
	say "error: $*"
	exit 1
}

# A line of the kernel's own (it has a time stamp) that means something is wrong.
COMPLAINT='\[ *[0-9]+\.[0-9]{6}\].*(WARNING: |BUG: |BUG at |KASAN: |UBSAN: |Oops|Kernel panic'
COMPLAINT+='|general protection|INFO: task .* blocked|possible .* detected|detected .*stall'
COMPLAINT+='|soft lockup|hard LOCKUP|non-static key|turning off the locking|Bad page|Bad rss'
COMPLAINT+='|bad p[gm4u]d |(Bad|Unused) swap|bad: scheduling|corruption|[Ll]eak|Objects remaining'
COMPLAINT+='|refcount_t: )'
export COMPLAINT

# What the kernel, the compilers and configs/ call ARCH, and where its image is. PAGES and
# MMU choose between the kinds of ppc64le and of ppc64, which is big-endian.
# shellcheck disable=SC2034 # for those who call it
machine()
{
	ARCH=${ARCH:-x86_64}
	case $ARCH in
	x86_64)
		[ -z "${PAGES:-}${MMU:-}" ] || die "$ARCH has no choice of PAGES or MMU"
		KARCH=x86_64 CROSS='' IMAGE=arch/x86/boot/bzImage CONFIGS=$ARCH MACHINE=$ARCH
		;;
	ppc64le | ppc64)
		[ "$ARCH" = ppc64 ] || PAGES=${PAGES:-64k}
		PAGES=${PAGES:-4k} MMU=${MMU:-radix}
		[[ $PAGES-$MMU =~ ^(4k|64k)-(radix|hash)$ ]] ||
			die "no PAGES=$PAGES with MMU=$MMU: 4k or 64k, radix or hash"
		KARCH=powerpc CROSS=${ARCH/ppc/powerpc}-linux-gnu- IMAGE=vmlinux
		CONFIGS="powerpc powerpc-$PAGES $ARCH" MACHINE=$ARCH-$PAGES
		export PAGES MMU
		;;
	*) die "no architecture '$ARCH': x86_64, ppc64le or ppc64" ;;
	esac
	export ARCH
}

# mutated_file MUTATION: the file of the kernel that it breaks. A mutation that begins with
# "mm/NAME.c:" breaks that file, any other mm/anon_vma.c.
mutated_file()
{
	local name

	name=$(sed -n '1,3s,^# \(mm/[a-z_]*\.c\):.*,\1,p' "$1")
	echo "${name:-mm/anon_vma.c}"
}

# stage NAME COMMAND...: name the stage, run it, say how long it took.
stage()
{
	local name=$1 start=$SECONDS status=0

	shift
	say "== $name"
	"$@" || status=$?
	if [ "$status" -ne 0 ]; then
		say "== $name: FAILED after $((SECONDS - start)) s"
		exit "$status"
	fi
	say "== $name: done in $((SECONDS - start)) s"
}

# need_space MEGABYTES WHAT: say so before a half-written file does.
need_space()
{
	local free

	free=$(df -Pm "$BUILD" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$1" ] ||
		die "disk full: $2 needs $1 MB under $BUILD, $free MB are free"
}

# one_at_a_time NAME: hold build/NAME.lock until this script ends.
one_at_a_time()
{
	exec {LOCKFD}> "$BUILD/$1.lock"
	flock -n "$LOCKFD" && return
	say "waiting for another run that holds $BUILD/$1.lock"
	flock "$LOCKFD"
}

# failed_log LOG WHAT: end with what a person needs to see of a failed LOG.
failed_log()
{
	grep -nE -A4 'error:|[Ee]rror [0-9]|E: |fatal|undefined reference|No space left|\*\*\*' "$1" | tail -n 30 >&2 ||
		tail -n 15 "$1" >&2
	die "$2; whole log: $1"
}
