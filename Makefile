# demo and test install what is missing (scripts/bootstrap) and leave nothing running.
PYTHON := .venv/bin/python

# or each of pytest's workers compiles every test again
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check coverage bench bootstrap reference matrix matrix-tools matrix-quick deb constraints

demo:
	@scripts/bootstrap demo
	@$(PYTHON) -m demo

# PYTEST narrows it down: make test PYTEST="tests/repository -k retention"; the segment log's model test tries 20
# histories, 200 where $CI is set, or as many as asked: make test PYTEST="tests/segments/test_model.py --model-examples 5000"
test:
	@scripts/bootstrap test
	@$(MAKE) --no-print-directory check
	@$(PYTHON) -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST)

check:
	@.venv/bin/ruff format --check --quiet . || (echo "run: .venv/bin/ruff format ." >&2; exit 1)
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy --no-error-summary
	@.venv/bin/lint-imports --no-logo > .import-linter.log || (cat .import-linter.log; exit 1)

# which branches the tests reach, by room, in subprocesses too; tests that watch every write see coverage's own and fail,
# and the memory of millions of rows is measured without it
coverage:
	@scripts/bootstrap test
	-@$(PYTHON) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report= \
	    --deselect tests/operations/test_memory.py::test_the_narrowest_rows $(PYTEST)
	@$(PYTHON) -m scripts.coverage

# make bench SIZE=1 HOURS=10 WEEK_HOURS=168, make bench SIZES=0.1,1,4, make bench SIZE=1 CHURNS=0.3,1,3,10 (sizes in GB),
# make bench SIZE=1 MINUTES=15, make bench SIZE=1 LIMITS=3, make bench PGBENCH=50 HOURS=3 (pgbench's scale: 50 is about
# 0.8 GB), make bench GROWTH=30,300,3000 (snapshots), and with a newer PostgreSQL:
# scripts/with_postgresql 17 make bench SUMMARIES=0.1,1; make bench COMPARE=REV SIZE=0.1 HOURS=5 runs this version
# and commit REV in turn, and keeps the ratios in .bench/. With Debian 13's restic, borg and pgBackRest (scripts/newer_peers)
# and a server that summarizes its WAL, for pg_basebackup's incremental backups too, or that does not:
# NEWER_PEERS=trixie scripts/with_postgresql 17 make bench SIZE=1 [WITHOUT_SUMMARIES=1]
bench:
	@scripts/bootstrap bench
	@$(PYTHON) -m bench $(if $(SIZE),--size $(SIZE)) $(if $(HOURS),--hours $(HOURS)) \
	    $(if $(WEEK_HOURS),--week-hours $(WEEK_HOURS)) $(if $(WITHOUT_SUMMARIES),--without-summaries) \
	    $(if $(SIZES),--sizes $(SIZES)) $(if $(CHURNS),--churns $(CHURNS)) \
	    $(if $(SUMMARIES),--summaries $(SUMMARIES)) $(if $(PUBLISHED_UP_TO),--published-up-to $(PUBLISHED_UP_TO)) \
	    $(if $(PGBENCH),--pgbench $(PGBENCH)) \
	    $(if $(LIMITS),--limits $(LIMITS)) \
	    $(if $(GROWTH),--growth $(GROWTH)) \
	    $(if $(COMPARE),--compare $(COMPARE)) \
	    $(if $(MINUTES),--minutes $(MINUTES))

# dist/permafrost_*.deb for Debian 12 and 13, amd64 and arm64; make deb DEB="12-amd64" makes one
deb:
	@scripts/bootstrap demo
	@$(PYTHON) -m scripts.deb $(DEB)

# dist/constraints.txt: the versions that permafrost was tested with, for pipx, uv tool and pip
constraints:
	@scripts/bootstrap demo
	@mkdir -p dist
	@$(PYTHON) -m scripts.constraints > dist/constraints.txt

reference:
	@$(PYTHON) -m scripts.reference
	@$(PYTHON) -m scripts.architecture
	@$(PYTHON) -m scripts.decision_index

# The tests that depend on the version of PostgreSQL, with servers of 14 to 18, and with Debian 13's GnuPG and Syncthing;
# then the table of docs/reference/postgresql.md. make matrix-quick does without 14, 16, the programs and the table.
MATRIX_TESTS := tests/postgres tests/loading tests/segments tests/operations/test_every_kind.py \
    tests/operations/test_situations.py tests/operations/test_backup_restore.py tests/operations/test_drill.py \
    tests/operations/test_export.py tests/operations/test_restore.py
NEWER_TESTS := tests/openpgp tests/syncthing tests/vault tests/vault_keeping tests/operations/vault
MAJORS := 14 15 16 17 18
QUICK_TESTS := tests/operations/test_every_kind.py tests/operations/test_backup_restore.py tests/operations/test_drill.py

matrix: matrix-tools
	@for major in $(MAJORS); do echo "PostgreSQL $$major:" && \
	    scripts/with_postgresql $$major $(PYTHON) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(MATRIX_TESTS) || exit 1; done
	@NEWER_PROGRAMS=1 scripts/with_postgresql 17 $(PYTHON) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(NEWER_TESTS)
	@$(PYTHON) -m scripts.version_matrix

matrix-tools:
	@scripts/bootstrap test
	@scripts/newer_postgresql 17 18
	@scripts/older_postgresql 14 16
	@scripts/newer_programs

matrix-quick:
	@for major in 17 18; do \
	    scripts/with_postgresql $$major true || { echo "PostgreSQL $$major: left out"; continue; }; \
	    echo "PostgreSQL $$major:"; \
	    scripts/with_postgresql $$major $(PYTHON) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(QUICK_TESTS) || exit 1; done
