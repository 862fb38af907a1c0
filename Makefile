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

# make bench SIZE=1 HOURS=10 WEEK_HOURS=168, make bench SIZES=0.1,1,4, make bench SIZE=1 CHURNS=0.3,1,3,10 (sizes in GB),
# make bench SIZE=1 MINUTES=15, make bench PGBENCH=50 HOURS=3 (pgbench's scale: 50 is about 0.8 GB)
bench:
	@scripts/bootstrap bench
	@$(PYTHON) -m bench $(if $(SIZE),--size $(SIZE)) $(if $(HOURS),--hours $(HOURS)) \
	    $(if $(WEEK_HOURS),--week-hours $(WEEK_HOURS)) \
	    $(if $(SIZES),--sizes $(SIZES)) $(if $(CHURNS),--churns $(CHURNS)) \
	    $(if $(PGBENCH),--pgbench $(PGBENCH)) \
	    $(if $(MINUTES),--minutes $(MINUTES))

reference:
	@$(PYTHON) -m scripts.reference
