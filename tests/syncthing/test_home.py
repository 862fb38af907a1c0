"""The home is right before the instance starts, and stays so."""

from __future__ import annotations

import stat
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from permafrost.config.device_ids import is_device_id
from permafrost.config.models import Syncthing
from permafrost.errors import ReplicationError, ToolError
from permafrost.processes.run import run_checked
from permafrost.syncthing.dialect import Dialect, detect_dialect
from permafrost.syncthing.home import Home, prepare_home, read_home
from tests.fixtures.syncthing import loopback_settings

_SECOND_VERSION = """#!/bin/sh
# Accepts what Syncthing 2.x accepts and nothing else, and then does the same with the installed one.
set -eu
[ "$1" = --version ] && { echo 'syncthing v2.1.3 "Hafnium Hornet" (go1.26 linux-amd64) builder@host'; exit 0; }
verb=$1; shift
home=; given=
while [ $# -gt 0 ]; do
  case "$verb $1" in
    "generate --home"|"serve --home"|"device-id --home") home=$2; shift ;;
    "generate --gui-user"|"generate --gui-password") given="$given $1 $2"; shift ;;
    "generate --no-port-probing") given="$given --skip-port-probing --no-default-folder" ;;
    "serve --no-browser"|"serve --no-restart"|"serve --no-upgrade") given="$given $1" ;;
    "serve --debug-reset-delta-idxs") given="$given --reset-deltas" ;;
    *) echo "syncthing: error: unknown flag $1" >&2; exit 80 ;;
  esac
  shift
done
[ "$verb" = device-id ] && exec syncthing serve --home "$home" --device-id
exec syncthing "$verb" --home "$home" $given
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Syncthing:
    """Settings for a home on loopback."""
    return loopback_settings(tmp_path_factory.mktemp("home") / "syncthing")


@pytest.fixture(scope="module")
def dialect() -> Dialect:
    """The installed Syncthing."""
    return detect_dialect()


@pytest.fixture(scope="module")
def home(settings: Syncthing, dialect: Dialect) -> Home:
    """A new home that was never started."""
    return prepare_home(settings, dialect, "attic")


def _config(home: Path) -> ET.Element[str]:
    return ET.parse(home / "config.xml").getroot()  # noqa: S314 - the test has just made it


def test_nothing_talks_to_the_world(home: Home, settings: Syncthing) -> None:
    """With discovery off, config.xml has everything off that announces, relays, reports or upgrades."""
    options = _config(home.path).find("options")
    assert options is not None
    values = {one.tag: one.text or "" for one in options}
    off = (
        "globalAnnounceEnabled",
        "localAnnounceEnabled",
        "relaysEnabled",
        "natEnabled",
        "crashReportingEnabled",
        "announceLANAddresses",
        "startBrowser",
    )
    assert {values[name] for name in off} == {"false"}
    assert (values["urAccepted"], values["autoUpgradeIntervalH"], values["stunKeepaliveStartS"]) == ("-1", "0", "0")
    assert values["releasesURL"] == values["urURL"] == values["crashReportingURL"] == ""
    assert values["listenAddress"] == settings.listen[0]


def test_home_has_a_name_a_key_and_no_folder(home: Home, settings: Syncthing) -> None:
    """A new home has its name and interface as asked, an API key, and no default folder."""
    root = _config(home.path)
    assert [one.get("name") for one in root.findall("device")] == ["attic"]
    assert root.findall("folder") == []
    assert home.gui == settings.gui
    assert len(home.api_key) >= 32


def test_device_id_is_the_one_that_syncthing_computes(home: Home, dialect: Dialect) -> None:
    """The device id from the certificate equals what the program prints, and its check letters are checked."""
    printed = run_checked(dialect.device_id(home.path)).decode().strip()
    assert home.device_id == printed
    assert is_device_id(printed)
    assert not is_device_id(printed[:-1] + ("A" if printed[-1] != "A" else "B"))
    assert not is_device_id(printed.lower())
    assert not is_device_id(printed + "\n")


def test_modes_are_private(home: Home) -> None:
    """The home is 0700, its files are 0600."""
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    names = ("config.xml", "cert.pem", "key.pem")
    assert {stat.S_IMODE((home.path / name).stat().st_mode) for name in names} == {0o600}


def test_preparing_again_changes_nothing(home: Home, settings: Syncthing, dialect: Dialect) -> None:
    """A home that is right already keeps its keys and its bytes."""
    before = {path.name: path.read_bytes() for path in home.path.iterdir()}
    assert prepare_home(settings, dialect, "another name") == home
    assert {path.name: path.read_bytes() for path in home.path.iterdir()} == before


def test_changed_settings_reach_an_old_home(tmp_path: Path, home: Home, dialect: Dialect) -> None:
    """New listen addresses and discovery are taken over; identity and API key stay."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in home.path.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    listen = ("tcp://127.0.0.1:1", "quic://127.0.0.1:2")
    changed = prepare_home(Syncthing(home=copy, gui="127.0.0.1:3", listen=listen), dialect, "x")
    assert (changed.device_id, changed.api_key) == (home.device_id, home.api_key)
    options = _config(copy).find("options")
    assert options is not None
    assert [one.text for one in options.findall("listenAddress")] == list(listen)
    assert options.findtext("globalAnnounceEnabled") == "true"


def test_a_damaged_home_is_told(tmp_path: Path) -> None:
    """A home that is missing or not XML is an error that names it."""
    with pytest.raises(ReplicationError, match="no Syncthing home"):
        read_home(tmp_path)
    (tmp_path / "config.xml").write_text("<configuration>")
    with pytest.raises(ReplicationError, match="not XML"):
        read_home(tmp_path)


def test_second_dialect(tmp_path: Path) -> None:
    """With a Syncthing that takes only the options of 2.x, a home is made and its id is told."""
    dialect = detect_dialect()
    if dialect.version[0] == 1:
        program = tmp_path / "syncthing-2"
        program.write_text(_SECOND_VERSION)
        program.chmod(0o755)
        dialect = detect_dialect(str(program))
    assert dialect.version >= (2, 1, 3)
    home = prepare_home(loopback_settings(tmp_path / "home"), dialect, "attic")
    assert run_checked(dialect.device_id(home.path)).decode().strip() == home.device_id


def test_an_old_or_foreign_program_is_refused(tmp_path: Path) -> None:
    """A Syncthing before 1.19, or a program that is none, is a tool error."""
    program = tmp_path / "syncthing"
    program.write_text("#!/bin/sh\necho 'syncthing v1.18.0 \"F\" (go1.19)'\n")
    program.chmod(0o755)
    with pytest.raises(ToolError, match="too old"):
        detect_dialect(str(program))
    with pytest.raises(ToolError, match="does not report its version"):
        detect_dialect("true")
