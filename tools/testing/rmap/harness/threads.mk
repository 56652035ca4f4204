# SPDX-License-Identifier: GPL-2.0
# mm/anon_vma.c with real locks, under ThreadSanitizer; see threads.c.

TSAN := $(OUTPUT)/tsan
TSAN_CFLAGS := -O1 -g -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-fsanitize=thread -pthread -I$(OUTPUT)/include -I$(KTREE)/tools/include -include $(SRC)/threads.h
TSAN_OBJS := threads threads_mm rbtree
TSAN_MUTANTS := $(patsubst mutations/threads/%.sed,$(TSAN)/mutants/%/threads,\
	$(wildcard mutations/threads/*.sed))
# The sanitizer cannot place its shadow where the kernel randomizes too many bits.
FIXED := $(shell setarch -R true 2> /dev/null && echo setarch -R)

.PHONY: threads threads-mutants

threads: $(TSAN)/threads $(TSAN)/threads-debug
	$(FIXED) $(TSAN)/threads $(ARGS)
	$(FIXED) $(TSAN)/threads-debug $(ARGS)

# What only concurrency can show: the sanitizer, or a check, must notice.
threads-mutants: $(TSAN_MUTANTS)
	$(FIXED) $(SRC)/threads-mutants.sh $(TSAN)/mutants

$(TSAN)/threads: $(TSAN_OBJS:%=$(TSAN)/%.o) $(TSAN)/anon_vma.o
	$(CC) $(TSAN_CFLAGS) -o $@ $^

# With the kernel's own checks of the walk and of each vma.
$(TSAN)/threads-debug: $(TSAN_OBJS:%=$(TSAN)/%-debug.o) $(TSAN)/anon_vma-debug.o
	$(CC) $(TSAN_CFLAGS) -o $@ $^

$(TSAN)/mutants/%/threads: $(TSAN_OBJS:%=$(TSAN)/%.o) $(TSAN)/mutants/%/anon_vma.o
	$(CC) $(TSAN_CFLAGS) -o $@ $^

$(TSAN)/%-debug.o: TSAN_CFLAGS += -DCONFIG_DEBUG_VM_RB
$(TSAN)/mutants/%/anon_vma.o: TSAN_CFLAGS += -w

TSAN_DEPS := threads.h shim_mm.h threads_mm.h vma_list.h $(HEADERS) | $(TSAN)

$(TSAN)/%-debug.o: %.c $(TSAN_DEPS)
	$(CC) $(TSAN_CFLAGS) -c -o $@ $<

$(TSAN)/%-debug.o: $(OUTPUT)/%.c $(TSAN_DEPS)
	$(CC) $(TSAN_CFLAGS) -c -o $@ $<

$(TSAN)/mutants/%/anon_vma.o: $(TSAN)/mutants/%/anon_vma.c $(TSAN_DEPS)
	$(CC) $(TSAN_CFLAGS) -c -o $@ $<

$(TSAN)/%.o: %.c $(TSAN_DEPS)
	$(CC) $(TSAN_CFLAGS) -c -o $@ $<

$(TSAN)/%.o: $(OUTPUT)/%.c $(TSAN_DEPS)
	$(CC) $(TSAN_CFLAGS) -c -o $@ $<

$(TSAN)/mutants/%/anon_vma.c: mutations/threads/%.sed $(OUTPUT)/anon_vma.c
	mkdir -p $(@D)
	sed -f $< $(OUTPUT)/anon_vma.c > $@
	@! cmp -s $(OUTPUT)/anon_vma.c $@ || { echo "$<: finds nothing to change" >&2; exit 1; }

$(TSAN):
	mkdir -p $@
