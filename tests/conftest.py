"""Fixtures that every test may use, and options of the test run."""

from __future__ import annotations

import pytest

pytest_plugins = ["tests.fixtures.postgresql", "tests.fixtures.server"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the model test be run as long as one likes."""
    parser.addoption("--model-examples", type=int, default=200, help="examples of the segment log's model test")
