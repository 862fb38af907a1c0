"""The home of the managed Syncthing: its keys and its config.xml, right before it starts for the first time.

Syncthing's defaults announce the device to the world, open relays and report usage, so everything that talks is
switched off in the file, not over the API, where it would be too late. An existing home keeps its
keys, its API key, its devices and its folders.
"""

from __future__ import annotations

import io
import os
import secrets
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from permafrost.config.models import Syncthing
from permafrost.errors import ReplicationError
from permafrost.processes.run import run_checked
from permafrost.syncthing.device_id import device_id_of
from permafrost.syncthing.dialect import Dialect
from permafrost.syncthing.presence import CONFIG_FILE

GENERATE_S = 60.0
RECONNECT_S = 5
"""How often an unconnected device is dialled; the least that Syncthing takes. Its own 60 s would be felt at pairing."""
_USER = "permafrost"
_CERTIFICATE = "cert.pem"
_SILENT = {
    "startBrowser": "false",
    "urAccepted": "-1",  # usage reports: asked, and refused
    "urURL": "",
    "crashReportingEnabled": "false",
    "crashReportingURL": "",
    "autoUpgradeIntervalH": "0",
    "upgradeToPreReleases": "false",
    "releasesURL": "",
    "announceLANAddresses": "false",  # the world need not know the addresses of the local network
    "reconnectionIntervalS": str(RECONNECT_S),
}
_DISCOVERY = ("globalAnnounceEnabled", "localAnnounceEnabled", "relaysEnabled", "natEnabled")


@dataclass(frozen=True, slots=True)
class Home:
    """A home that exists: where its instance answers, with which key, and who it is."""

    path: Path
    gui: str
    api_key: str
    device_id: str


def prepare_home(settings: Syncthing, dialect: Dialect, device_name: str) -> Home:
    """Make the home that `settings` describe, or bring its config.xml to them; the instance must not run.

    The home gets 0700 and its files 0600. `device_name` is given once, when the home is made.
    """
    home = settings.home
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    is_new = not (home / CONFIG_FILE).exists()
    if is_new:
        # Nobody knows this password: without one, Syncthing's web interface is open to every local user.
        password = secrets.token_urlsafe(32).encode("ascii") + b"\n"
        run_checked(dialect.generate(home, _USER), stdin=password, timeout_s=GENERATE_S)
    tree = _read(home)
    before = ET.tostring(tree.getroot())
    _apply(tree, settings, device_id_of(home / _CERTIFICATE), device_name if is_new else None)
    if ET.tostring(tree.getroot()) != before:
        _write(home / CONFIG_FILE, tree)
    for name in (CONFIG_FILE, _CERTIFICATE, "key.pem"):
        (home / name).chmod(0o600)
    return read_home(home)


def read_home(path: Path) -> Home:
    """Return what the home at `path` says; raise `ReplicationError` if there is none, or it is damaged."""
    tree = _read(path)
    gui, api_key = tree.findtext("gui/address"), tree.findtext("gui/apikey")
    if not gui or not api_key:
        raise ReplicationError(f"{path / CONFIG_FILE} has no address or no API key for its interface")
    return Home(path, gui, api_key, device_id_of(path / _CERTIFICATE))


def _read(home: Path) -> ET.ElementTree[ET.Element[str]]:
    try:
        return ET.parse(home / CONFIG_FILE)  # noqa: S314 - the file is ours, mode 0600, written by Syncthing and here
    except OSError as error:
        raise ReplicationError(
            f"there is no Syncthing home at {home}: {error.strerror}", hint="check [syncthing] home"
        ) from error
    except ET.ParseError as error:
        raise ReplicationError(
            f"{home / CONFIG_FILE} is not XML: {error}",
            hint="move config.xml away and pair the vaults again; the keys next to it keep the device's identity",
        ) from error


def _apply(tree: ET.ElementTree[ET.Element[str]], settings: Syncthing, own_id: str, device_name: str | None) -> None:
    root = tree.getroot()
    _apply_options(_child(root, "options"), settings)
    gui = _child(root, "gui")
    gui.set("enabled", "true")
    _child(gui, "address").text = settings.gui
    if settings.gui.startswith("/"):
        _child(gui, "unixSocketPermissions").text = "0600"
    key = _child(gui, "apikey")
    key.text = key.text or secrets.token_urlsafe(32)
    if device_name is not None:
        for folder in root.findall("folder"):  # no folder is ours yet; 1.x may have made its default one
            root.remove(folder)
        for device in root.findall(f"device[@id='{own_id}']"):
            device.set("name", device_name)


def _apply_options(options: ET.Element[str], settings: Syncthing) -> None:
    for name, value in _SILENT.items():
        _child(options, name).text = value
    for name in _DISCOVERY:
        _child(options, name).text = "true" if settings.discovery else "false"
    # STUN finds out the address that the world sees, for QUIC; 0 switches it off.
    _child(options, "stunKeepaliveStartS").text = "180" if settings.discovery else "0"
    if [present.text for present in options.findall("listenAddress")] != list(settings.listen):
        for present in options.findall("listenAddress"):
            options.remove(present)
        for position, address in enumerate(settings.listen):
            element = ET.Element("listenAddress")
            element.text = address
            options.insert(position, element)


def _child(parent: ET.Element[str], name: str) -> ET.Element[str]:
    found = parent.find(name)
    return ET.SubElement(parent, name) if found is None else found


def _write(path: Path, tree: ET.ElementTree[ET.Element[str]]) -> None:
    content = io.BytesIO()
    tree.write(content, encoding="utf-8")
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.getvalue())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
