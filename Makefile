# demo and test install what is missing (scripts/bootstrap) and leave nothing running.
PYTHON := .venv/bin/python

.PHONY: demo test check bench bootstrap reference

demo:
	@scripts/bootstrap demo
	@$(PYTHON) -m demo

# PYTEST narrows it down: make test PYTEST="tests/repository -k retention"
test:
	@scripts/bootstrap test
	@$(MAKE) --no-print-directory check
	@$(PYTHON) -m pytest -q -n 2 --dist loadfile $(PYTEST)

check:
	@.venv/bin/ruff format --check --quiet . || (echo "run: .venv/bin/ruff format ." >&2; exit 1)
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy --no-error-summary
	@.venv/bin/lint-imports --no-logo > .import-linter.log || (cat .import-linter.log; exit 1)

# SIZE is in GB of database: make bench SIZE=1
bench:
	@scripts/bootstrap bench
	@$(PYTHON) -m bench $(if $(SIZE),--size $(SIZE))

reference:
	@$(PYTHON) -m scripts.reference
