"""Engines are found by the name that the configuration gives them, and only the one that is used is imported."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest

from permafrost.config.models import Database
from permafrost.engines.engine import engine_named

NAMES = get_args(Database.model_fields["engine"].annotation)


def test_every_name_has_its_engine() -> None:
    """Each engine that the configuration allows is there, and no two are the same."""
    assert len({engine_named(name) for name in NAMES}) == len(NAMES) == 2


@pytest.mark.parametrize("name", NAMES)
def test_only_that_one_is_imported(name: str) -> None:
    """Neither the other engine nor numpy is imported before it is needed: an hourly run waits for each of them."""
    (other,) = set(NAMES) - {name}
    script = f"""
import sys
import permafrost.operations.backup
from permafrost.engines.engine import engine_named
engine_named({name!r})
print(*(module in sys.modules for module in ("numpy", "permafrost.engines.{other}", "permafrost.engines.{name}")))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]
