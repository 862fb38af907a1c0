"""The description, the scripts and the contents of the Debian package fit the sources."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.bindings import _rust

from permafrost import __version__
from scripts.deb import DESCRIPTION, targets, unit, units, variables
from scripts.private_environment import ROOT, check_machine, launcher, locked_requirements

DATE = datetime(2026, 11, 26, tzinfo=UTC)
SCRIPTS = sorted(path for path in DESCRIPTION.parent.iterdir() if not path.suffix and path.stat().st_mode & 0o100)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_description_names_existing_scripts() -> None:
    """Each script that nfpm is given exists, and none that exists is forgotten."""
    named = re.findall(r"^  (?:pre|post)\w+: (\S+)$", DESCRIPTION.read_text(encoding="utf-8"), re.MULTILINE)
    assert {ROOT / name for name in named} == set(SCRIPTS)
    assert len(SCRIPTS) == 3


@pytest.mark.parametrize("name", targets())
def test_every_variable_has_a_value(name: str) -> None:
    """The description asks for no variable that is not set, for whatever release and architecture."""
    asked = set(re.findall(r"\$\{(\w+)\}", DESCRIPTION.read_text(encoding="utf-8")))
    values = variables(targets()[name], Path("/staged"), DATE, __version__)
    assert asked <= set(values)
    assert all(values.values())


def test_a_newer_debian_has_the_higher_revision() -> None:
    """Whoever upgrades Debian is offered the package for the new release as an upgrade."""
    old, new = (
        f"{__version__}-{variables(targets()[name], Path(), DATE, __version__)['DEB_REVISION']}"
        for name in ("12-amd64", "13-amd64")
    )
    assert subprocess.run(["dpkg", "--compare-versions", old, "lt", new], check=False).returncode == 0


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_maintainer_scripts_are_sound(script: Path) -> None:
    """No fault is found by shellcheck in a script that dpkg runs as root."""
    subprocess.run(["sh", "-n", script], check=True)
    subprocess.run(["shellcheck", script], check=True)


@pytest.mark.parametrize("file", units(), ids=lambda file: file.name)
def test_units_start_the_packaged_program(file: Path) -> None:
    """A packaged unit starts the program of the package, and is otherwise that of the sources."""
    packaged = unit(file)
    assert ("ExecStart=/usr/bin/permafrost " in packaged) == (file.suffix == ".service")
    assert packaged.replace("/usr/bin/", "/usr/local/bin/") == file.read_text(encoding="utf-8")


def test_scripts_stop_and_start_every_unit() -> None:
    """Each unit is stopped before its program changes; those that are enabled, and bring the units of drills with them,
    are started afterwards, and disabled when the package is purged."""
    assert len(units()) == 4
    enabled = [file.name for file in units() if "[Install]" in file.read_text(encoding="utf-8")]
    assert enabled == ["permafrost-vault.service", "permafrost.service"]
    for script in SCRIPTS:
        named = [file.name for file in units()] if script.name == "prerm" else enabled
        assert all(name in script.read_text(encoding="utf-8") for name in named)


def test_the_launcher_calls_the_entry_point() -> None:
    """The program of the package starts what the wheel's would."""
    module, function = PROJECT["scripts"]["permafrost"].split(":")
    assert f"from {module} import {function}\n" in launcher()


def test_compiled_files_are_for_the_target(tmp_path: Path) -> None:
    """A package is not built if a compiled file in it is for another machine; this machine's are for one of the two."""
    library = tmp_path / "library.so"
    shutil.copyfile(_rust.__file__, library)
    (tmp_path / "text.so.txt").write_text("no compiled file")
    named = {"x86_64": "amd64", "aarch64": "arm64"}
    for target in targets().values():
        if target.architecture == named[platform.machine()]:
            assert check_machine(target, tmp_path) == 1
        else:
            with pytest.raises(SystemExit, match=f"not for {target.architecture}: library.so"):
                check_machine(target, tmp_path)


def test_one_version() -> None:
    """The program, its wheel and the change log name the same version."""
    assert PROJECT["version"] == __version__
    assert f"\n## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_constraints_hold_every_dependency() -> None:
    """Each package that permafrost needs has one exact version among the constraints, and permafrost has none."""
    constraints = dict(re.findall(r"^([\w-]+)==(\S+)", locked_requirements(has_hashes=False), re.MULTILINE))
    assert {re.split(r"[^\w-]", wish)[0] for wish in PROJECT["dependencies"]} <= set(constraints)
    assert "psycopg-binary" in constraints
    assert PROJECT["name"] not in constraints
