"""python -m permafrost."""

from permafrost.cli.main import run

run()
