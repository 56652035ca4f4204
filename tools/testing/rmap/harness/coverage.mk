# SPDX-License-Identifier: GPL-2.0
# What the harness reaches in mm/anon_vma.c, and what valgrind says of both.

$(eval $(call build,coverage,-O0 --coverage,-include $(SRC)/coverage.h))
$(eval $(call build,valgrind,-O1 -DMEMCHECK,$(COUNTED)))

.PHONY: coverage valgrind

# The same operations in every run: what they reach is the same, too.
coverage: $(OUTPUT)/coverage/harness
	rm -f $(OUTPUT)/coverage/*.gcda
	{ $< && $< --ops 500000 --output $(OUTPUT); } > $(OUTPUT)/coverage/log || \
		{ echo "not ok: the harness failed, log: $(OUTPUT)/coverage/log" >&2; exit 1; }
	$(SRC)/coverage.sh $(OUTPUT)/coverage $(OUTPUT)/anon_vma.c $(SRC)/coverage.txt

$(OUTPUT)/coverage/anon_vma.o: coverage.h

# The cases that are short.
VALGRIND_CASES := fault disjoint over memory merge move lookup free batches settle
VALGRIND := valgrind -q --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite,possible

valgrind: $(OUTPUT)/valgrind/harness
	for name in $(VALGRIND_CASES); do $(VALGRIND) $< --only $$name || exit; done
	$(VALGRIND) $< --ops 30000 --no-shrink --output $(OUTPUT)
