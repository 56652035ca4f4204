# SPDX-License-Identifier: GPL-2.0
# One command to see it (make run), one to check it (make test); 'make help' lists the rest.

FLAVOR ?= patched
ARCH ?= x86_64
MINUTES ?= 60
STAGE := . scripts/lib.sh && stage
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
export ARCH

.PHONY: run test test-all fuzz soak boot where deps base compose refresh series kernel guest \
	bench-fork bench-walk bench-unmap kselftests mutants mutants-kernel coverage help clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14
	@echo "With ARCH=ppc64le or ARCH=ppc64, PAGES=4k|64k and MMU=radix|hash: that machine, not x86_64."

run: deps base compose kernel guest ## build everything, boot it, run the storm, print the report
	@$(STAGE) "storm" scripts/storm

test: deps ## the checks, some of them in short, one summary
	@scripts/test

test-all: deps ## that and more of it, mutants, coverage, and every kind of 64-bit PowerPC
	@scripts/test --all

fuzz: deps base compose ## random system calls on FLAVOR, every page checked
	@$(STAGE) "fuzz $(FLAVOR)" scripts/fuzz $(FLAVOR)

soak: deps base compose ## MINUTES=n of storms, fuzz and harness with fresh seeds
	@scripts/soak $(MINUTES)

boot: deps base compose ## boot FLAVOR=stock|patched|debug|kcsan with INITRD=file [SMP=n] [MEM=size] [QEMU_ARGS=..]
	@scripts/boot $(FLAVOR)

where: ## print the path of the bootable image of FLAVOR and ARCH, built first if needed
	@scripts/deps >&2
	@scripts/where $(FLAVOR) $(ARCH)

deps: ## install the Debian packages that are missing
	@$(STAGE) "packages" scripts/deps

base: deps ## unpack the base kernel into build/base
	@$(STAGE) "base kernel" scripts/base

compose: base ## make build/linux the base plus ours
	@$(STAGE) "compose" scripts/compose > /dev/null

refresh: ## turn edits in build/linux into this repository's files and diffs
	@$(STAGE) "refresh" scripts/refresh

kernel: compose ## build the kernel of FLAVOR
	@$(STAGE) "kernel $(ARCH)-$(FLAVOR)" scripts/kernel $(FLAVOR) $(ARCH)

guest: base ## build the guest image
	@$(STAGE) "guest" scripts/guest

series: compose ## write the numbered mail patches to build/series
	@$(STAGE) "series" scripts/series

bench-fork: compose ## what fork costs, stock and patched side by side
	@scripts/bench fork

bench-walk: compose ## what a walk costs, stock and patched side by side
	@scripts/bench walk

bench-unmap: compose ## what unmapping costs, stock and patched side by side
	@scripts/bench unmap

kselftests: deps compose ## all mm selftests of the kernel, in Debian, stock and patched compared, on ARCH
	@$(STAGE) "kselftests $(ARCH)" scripts/kselftests

mutants: compose ## break mm/anon_vma.c in one place at a time: the harness must notice
	@make -C tools/testing/rmap/harness -s -j$$(nproc) mutants

mutants-kernel: compose ## break mm/rmap*.c in one place at a time, boot it: a test must notice
	@scripts/mutants

coverage: compose ## which lines of mm/rmap*.c and mm/anon_vma.c the booted tests reach
	@scripts/coverage

clean: ## remove everything made
	rm -rf build
