# Two commands do everything: `make run` and `make test`. `make help` lists the rest. What each does is in tasks.py.

PYTHON ?= python3
TASKS := $(shell $(PYTHON) tasks.py --names)
ifeq ($(TASKS),)
$(error Python 3.11 or newer is needed; set PYTHON=/path/to/it)
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: $(TASKS)

$(TASKS):
	@exec $(PYTHON) tasks.py $@
