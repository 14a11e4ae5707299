# The framework's targets; what each does is in tasks.py. A newer version replaces this file: what is yours goes into the Makefile.

PYTHON ?= python3
TASKS := $(shell $(PYTHON) tasks.py --names)
ifeq ($(TASKS),)
$(error Python 3.11 or newer is needed; set PYTHON=/path/to/it)
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: $(TASKS)

# What `make run` suggests to try; the Makefile says it.
export TRY

$(filter-out help,$(TASKS)):
	@exec $(PYTHON) tasks.py $@

help:
	@$(PYTHON) tasks.py help
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14
