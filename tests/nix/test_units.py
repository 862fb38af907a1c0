"""The units of the NixOS modules are what systemd takes, and no more open than those in systemd/."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.nix.evaluating import MASTODON, evaluated, needs_nix, unit_text

ANALYZE = shutil.which("systemd-analyze")
SYSTEMD = Path(__file__).parent.parent.parent / "systemd"
MOST_EXPOSED = {"server": 1.1, "drill": 1.2, "vault": 1.1}
PROGRAMS = {"permafrost/bin/permafrost": "/bin/true", "coreutils/bin/install": "/usr/bin/install"}
OF_THE_MACHINE = {"ExecStart", "User", "ReadWritePaths", "ProtectHome", "Restart"}
"""Settings that say where things are, which NixOS knows better."""

pytestmark = [
    needs_nix,
    pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed (Debian: systemd)"),
]


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """A machine with server and vault."""
    return evaluated(
        MASTODON
        + 'services.permafrost.passphraseFile = "/run/p"; services.permafrost-vault.enable = true;'
        + 'services.permafrost-vault.servers.social.invitationFile = "/run/line";'
    )


@pytest.mark.parametrize("side", ["server", "drill", "vault"])
def test_systemd_takes_it(told: dict[str, Any], side: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing to say, and the exposure is as low as it is promised."""
    file = tmp_path / "permafrost.service"
    file.write_text(unit_text(told[side], PROGRAMS))
    verified = subprocess.run(
        [str(ANALYZE), "verify", "--man=no", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    assert _exposure(file) <= MOST_EXPOSED[side]


@pytest.mark.parametrize(
    ("side", "name"),
    [
        ("server", "permafrost.service"),
        ("drill", "permafrost-drill.service"),
        ("vault", "permafrost-vault.service"),
    ],
)
def test_it_follows_the_unit_of_other_systems(told: dict[str, Any], side: str, name: str) -> None:
    """Whatever the unit in systemd/ sets, the module's sets too, to the same value or a stricter one."""
    text = (SYSTEMD / name).read_text()
    service = text.split("\n[Service]\n")[1].split("\n[Install]\n")[0]
    theirs: dict[str, list[str]] = {}
    for line in re.findall(r"^[A-Z]\w+=.*$", service, re.MULTILINE):
        key, value = line.split("=", 1)
        theirs.setdefault(key, []).append(value)
    ours = {key: _values(value) for key, value in told[side]["service"].items()}
    different = {key: ours.get(key) for key, value in theirs.items() if ours.get(key) != _values(value)}
    assert different.keys() - OF_THE_MACHINE == set()


def _values(value: object) -> set[str]:
    """Return the words of a setting, with the booleans' two spellings as one."""
    values = value if isinstance(value, list) else [value]
    words = [word for one in values for word in str(one).split(" ")]
    return {{"yes": "true", "True": "true", "no": "false", "False": "false"}.get(word, word) for word in words}


def _exposure(file: Path) -> float:
    """Return what systemd makes of a unit's settings, from 0 (closed) to 10."""
    security = [str(ANALYZE), "security", "--offline=true", "--no-pager", str(file)]
    said = subprocess.run(security, capture_output=True, text=True, check=False, timeout=60).stdout
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None
    return float(found[1])
