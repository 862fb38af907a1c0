"""The package in a booted Debian: only where the option --debian-root names root folders, as it takes many minutes.

Each root folder needs what CONTRIBUTING.md lists. It is the lower layer of an overlay, so nothing changes in it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from permafrost import __version__
from samples.environment import environment_file
from scripts.deb import build, source_date, targets

TRIAL = Path(__file__).parent / "trial.sh"
VERSIONS = {"old": "0.1.9", "new": __version__}
ALL_WELL = 42
TRIAL_S = 1800
UNIT = """\
[Service]
Type=idle
ExecStart=/trial/run
StandardOutput=file:/trial/output
StandardError=inherit
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the trial in each root folder that was named."""
    if "named_root" in metafunc.fixturenames:
        metafunc.parametrize("named_root", metafunc.config.getoption("--debian-root") or [None], ids=str)


@pytest.fixture
def debian_root(named_root: str | None) -> Path:
    """The root folder to try the package in; the test is skipped where that cannot be done."""
    if named_root is None:
        pytest.skip("it takes minutes: name a root folder with --debian-root, as CONTRIBUTING.md says")
    if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None:
        pytest.skip("a Debian is booted by root with systemd-nspawn: apt-get install systemd-container")
    return Path(named_root)


@contextmanager
def layered(lower: Path, scratch: Path) -> Iterator[Path]:
    """Yield a folder that looks like `lower`, whose changes are kept elsewhere."""
    layers = [scratch / name for name in ("upper", "work", "merged")]
    for layer in layers:
        layer.mkdir()
    upper, work, merged = layers
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=True)
    try:
        yield merged
    finally:
        subprocess.run(["umount", merged], check=True)


def release_of(root: Path) -> int:
    """Return the number of the Debian release in a root folder."""
    found = re.search(r'^VERSION_ID="(\d+)"$', (root / "etc/os-release").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return int(found[1])


@pytest.mark.timeout(TRIAL_S + 300)
def test_the_life_of_a_package(debian_root: Path, tmp_path: Path) -> None:
    """Installed, set up, paired, drilled, upgraded during a backup, removed and purged: nothing is lost."""
    target = targets()[f"{release_of(debian_root)}-amd64"]
    packages = {name: build(target, tmp_path / name, source_date(), version) for name, version in VERSIONS.items()}
    with layered(debian_root, tmp_path) as merged:
        trial = merged / "trial"
        trial.mkdir()
        shutil.copy(TRIAL, trial / "run")
        for name, package in packages.items():
            shutil.copyfile(package, trial / f"{name}.deb")
        environment = environment_file("social.example", "mastodon_production", Path("/var/run/postgresql"), 5432)
        (trial / "env.production").write_text(environment, encoding="utf-8")
        (merged / "etc/systemd/system/trial.service").write_text(UNIT, encoding="utf-8")
        wanted = merged / "etc/systemd/system/graphical.target.wants/trial.service"
        wanted.parent.mkdir(exist_ok=True)
        wanted.symlink_to("../trial.service")
        finished = boot(merged)
        output = (trial / "output").read_text(encoding="utf-8", errors="replace")
    print(*re.findall("^== .*", output, re.MULTILINE), sep="\n")  # noqa: T201 - how long each step took, with -rP
    assert finished.returncode == ALL_WELL, f"{output}\n{finished.stdout}"


def boot(root: Path) -> subprocess.CompletedProcess[str]:
    """Boot a root folder without a network, and return how it ended."""
    how = ("--quiet", "--register=no", "--keep-unit", "--private-network", "--console=pipe")
    return subprocess.run(
        ["systemd-nspawn", *how, f"--directory={root}", "--boot"],
        env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # it handles the terminal of its session
        timeout=TRIAL_S,
        check=False,
    )
