# The same as `python3 dev.py COMMAND`, for those who type make.
PYTHON ?= python3

.PHONY: setup run test full quick frameworks bench lint
setup run test full quick frameworks bench lint:
	$(PYTHON) dev.py $@
