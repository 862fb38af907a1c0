"""Fixtures that every test may use."""

pytest_plugins = ["tests.fixtures.postgresql", "tests.fixtures.server"]
