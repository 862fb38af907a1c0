"""Fixtures that every test may use, and options of the test run."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# how long an example takes says something of the machine, not of the code
settings.register_profile("permafrost", deadline=None)
settings.load_profile("permafrost")

pytest_plugins = [
    "tests.fixtures.costs",
    "tests.fixtures.postgresql",
    "tests.fixtures.server",
    "tests.fixtures.vault",
    "tests.fixtures.newer_postgresql",
    "tests.fixtures.recipients",
    "tests.fixtures.managed",
    "tests.fixtures.browser",
    "tests.fixtures.receivers",
    "tests.fixtures.seaweedfs",
    "tests.fixtures.buckets",
    "tests.fixtures.cdn",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the longest tests be run as long as one likes."""
    examples = 200 if os.environ.get("CI") else 20  # where somebody waits for the result, a tenth has to do
    parser.addoption("--model-examples", type=int, default=examples, help="examples of the segment log's model test")
    parser.addoption("--long", action="store_true", help="data of full size, every combination, benchmarks")
    parser.addoption("--debian-root", action="append", default=[], help="a root folder in which to try the package")
    parser.addoption("--container-image", help="an image built from packaging/container, to go through the page with")
    parser.addoption("--vault-objects", type=int, default=2000, help="objects of the snapshot that a vault receives")
    parser.addoption("--bucket-objects", type=int, default=200, help="objects of the snapshot that a bucket gets")
    parser.addoption("--fuzz-cases", type=int, default=20, help="cases of each of the fuzzer's tests")
    parser.addoption("--fuzz-seed", default="20261126", help="which cases: each is made from this and its number")
    parser.addoption("--fuzz-first", type=int, default=0, help="the number of the first case, to see one again")


BEGUN_FIRST = (
    "service/test_backup_beside_a_stalled_upload.py",
    "segments/test_model.py",
    "segments/test_changed_model.py",
    "operations/test_memory.py",
    "engines/test_log.py",
    "demo/test_demo.py",
    "documents/test_disaster_day.py",
    "fuzz/test_fuzz.py",
    "segments/test_changed_servers.py",
    "operations/test_situations.py",
    "mastodon/test_health.py",
    "operations/test_drill.py",
)
"""Files that take a worker a minute and more: begun last, they would leave the others without work."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, and leave whole benchmarks to CI, and to whoever asks for them."""
    rank = {name: number for number, name in enumerate(BEGUN_FIRST)}
    items.sort(key=lambda item: rank.get("/".join(item.path.parts[-2:]), len(rank)))
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="long: --long runs it, and so does .ci/run"))


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether to spend what a test of full size takes."""
    return bool(request.config.getoption("--long"))
