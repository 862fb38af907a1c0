"""The story, from an untouched server to one that was lost and is there again. It reads from top to bottom."""

from __future__ import annotations

import re
import shutil
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg

from demo.account import INVITATION, Account
from demo.bucket import cellar_of, fetch_from, fill_and_plunder
from demo.comparison import Comparison, Original, compare
from demo.machine import DemoError, Machine
from demo.mastodon import DATABASE, Mastodon, Size
from demo.portrait import bytes_below, portray_database, portray_file, portray_files, sizes_of_files
from permafrost.amounts import bytes_text
from permafrost.postgres.programs.binaries import server_binaries
from permafrost.postgres.programs.scratch import ScratchCluster
from samples.rows import LOCAL_DOMAIN

MEDIA_S = 120.0
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the admin has on paper: the facts of the recovery sheet that `permafrost init` printed."""

    fingerprint: str
    passphrase: str

    @classmethod
    def read(cls, printed: str) -> Sheet:
        """Return the facts as a person reads them off the sheet."""
        fingerprint = re.search(r"Signing key fingerprint +([0-9A-F ]+)$", printed, re.MULTILINE)
        passphrase = re.search(r"^Passphrase.*\n\n +(\S+)$", printed, re.MULTILINE)
        if fingerprint is None or passphrase is None:
            raise DemoError("the recovery sheet that permafrost init printed lacks fingerprint or passphrase")
        return cls(fingerprint[1], passphrase[1])


def tell(folder: Path, size: Size, account: Account) -> Comparison:
    """Play the story in `folder`, and return how what came back compares with what was lost.

    Raise `DemoError` if a command fails. Whatever was started has been ended in either case.
    """
    (temporary := folder / "tmp").mkdir()
    server, vault, new = (Machine(name, folder / name, temporary, account) for name in ("server", "vault", "new"))
    server_gui, server_port, vault_gui, vault_port = _free_ports(4)
    kept = vault.folder / "permafrost" / LOCAL_DOMAIN

    with ExitStack() as old_server, ExitStack() as rest:
        with account.chapter("A Mastodon server"):
            cluster = old_server.enter_context(ScratchCluster(server.folder / "postgresql"))
            mastodon = Mastodon(server.folder / "live", cluster)
            mastodon.settle(size)
            _introduce(account, mastodon)

        with account.chapter("permafrost on the server"):
            sheet = _initialize(account, server, server_gui, server_port)
            service = old_server.enter_context(server.service("run", until="Syncthing is up"))

        with account.chapter("A vault: one command on each side"):
            invitation = old_server.enter_context(server.service("vault", "invite", "attic"))
            line = invitation.wait_for(INVITATION).strip()
            loopback = ("--listen", f"tcp://127.0.0.1:{vault_port}", "--gui", f"127.0.0.1:{vault_gui}")
            vault.permafrost("vault", "join", line, "--path", "permafrost", *loopback, "--no-discovery")
            invitation.finish()
            rest.enter_context(vault.service("vault", "run", "--path", "permafrost", until="is up"))

        with account.chapter("A bucket: a third place, whose locks nobody can open"):
            cellar = rest.enter_context(cellar_of(account, server, folder / "store", temporary))

        with account.chapter("The first backup"):
            _back_up(account, server, "first backup, held by the vault")

        with account.chapter("Life goes on, and is backed up too"):
            account.say("25 new posts, 10 edited ones, some favourites taken back, one new picture")
            mastodon.live_on()
            _back_up(account, server, "second backup, held by the vault")
            server.permafrost("snapshots")

        with account.chapter("All of it goes into the bucket; then a thief comes, with every key"):
            address = fill_and_plunder(account, server, cellar)

        with account.chapter("The vault checks what it holds: signatures and every byte, without a passphrase"):
            _verify(account, vault, kept / "repository", sheet)
            _await_media(account, mastodon, kept / "media")

        with account.chapter("Disaster: the server is gone"):
            original = _remember(account, mastodon)
            account.say("permafrost run is stopped with SIGTERM, and everything of the server is deleted")
            service.stop()
            old_server.close()
            shutil.rmtree(server.folder)
            account.say("gone: the database, Mastodon's folder with media and secrets, permafrost's configuration,")
            account.say("keys, repository and state. Left: the vault, and the recovery sheet on paper.")

        with account.chapter("A new server, from the vault's copy and the recovery sheet"):
            empty = rest.enter_context(ScratchCluster(new.folder / "postgresql"))
            _restore(account, new, empty, sheet, kept)

        with account.chapter("And from the plundered bucket, had there been no vault"):
            fetch_from(account, new, cellar, address, sheet.fingerprint)

        with account.chapter("Is it what was lost?"):
            secrets = new.folder / "secrets" / mastodon.secrets.relative_to("/")
            return compare(original, portray_database(empty.conninfo(DATABASE)), new.folder / "media", secrets)


def _free_ports(count: int) -> tuple[int, ...]:
    """Return ports on loopback that nobody listens on."""
    with ExitStack() as opened:
        probes = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return tuple(probe.getsockname()[1] for probe in probes)


def _introduce(account: Account, mastodon: Mastodon) -> None:
    with psycopg.connect(mastodon.conninfo()) as connection:
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM statuses),"
            " (SELECT count(*) FROM media_attachments), pg_database_size(current_database())"
        ).fetchone()
    if counts is None:
        raise DemoError("the sample database does not say how big it is")
    accounts, statuses, attachments, size_bytes = counts
    media = sizes_of_files(mastodon.media)
    version = server_binaries().parent.name
    account.say(f"its own PostgreSQL {version}; the database {DATABASE}, {bytes_text(size_bytes)}, made up for this:")
    account.say(f"{accounts:,} accounts, {statuses:,} posts, {attachments:,} attachments, with Mastodon 4.6's tables")
    cached = bytes_text(bytes_below(mastodon.media / "cache"))
    account.say(
        f"media: {len(media):,} files, {bytes_text(sum(media.values()))}; and {cached} of remote media in cache/"
    )
    account.say("secrets: .env.production")


def _initialize(account: Account, server: Machine, gui: int, port: int) -> Sheet:
    """Make configuration and keys, and keep to loopback, as somebody would who tries it on one machine."""
    server.export("PERMAFROST_CONFIG", str(server.folder / "permafrost.toml"))
    places = ("--repository", "repository", "--state", "state")
    server.permafrost("init", "--mastodon", "live", *places)
    sheet = server.folder / "recovery-sheet.txt"
    account.typed(server.name, ("head", "-n", "24", sheet.name))
    for line in sheet.read_text().splitlines()[:24]:
        account.said(line)
    wanted = {"gui": f'"127.0.0.1:{gui}"', "listen": f'["tcp://127.0.0.1:{port}"]', "discovery": "false"}
    account.typed(server.name, ("editor", "permafrost.toml"))
    account.said("[syncthing]")
    file = server.folder / "permafrost.toml"
    before, section, text = file.read_text().partition("[syncthing]\n")
    for key, value in wanted.items():
        text, changes = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
        if changes != 1:
            raise DemoError(f"permafrost init wrote no {key} into [syncthing]")
        account.said(f"{key} = {value}")
    file.write_text(before + section + text)
    server.permafrost("config", "check")
    return Sheet.read(sheet.read_text())


def _back_up(account: Account, server: Machine, title: str) -> None:
    repository = server.folder / "repository"
    before, began = bytes_below(repository), time.monotonic()
    server.permafrost("backup", "--audit", "--wait")
    account.figure(title, time.monotonic() - began, f"{bytes_text(bytes_below(repository) - before)} encrypted")


def _verify(account: Account, vault: Machine, repository: Path, sheet: Sheet) -> None:
    place = str(repository.relative_to(vault.folder))
    began = time.monotonic()
    vault.permafrost("verify", "--repository", place, "--fingerprint", sheet.fingerprint)
    account.figure("verify on the vault", time.monotonic() - began, f"{bytes_text(bytes_below(repository))} encrypted")


def _await_media(account: Account, mastodon: Mastodon, received: Path) -> None:
    """Wait until the vault has the media by name and size; their bytes are compared in the end."""
    wanted = sizes_of_files(mastodon.media)
    began = time.monotonic()
    deadline = began + MEDIA_S
    while (there := sizes_of_files(received)) != wanted:
        if time.monotonic() > deadline:
            missing = len(wanted.keys() - there.keys())
            raise DemoError(f"within {MEDIA_S:.0f} s the vault did not receive all media; {missing} files are missing")
        time.sleep(_LOOK_S)
    size = f"{len(wanted):,} files, {bytes_text(sum(wanted.values()))}"
    account.say(f"the vault also has all media: {size}")


def _remember(account: Account, mastodon: Mastodon) -> Original:
    """Take down hashes of everything, which the comparison needs once the server is gone."""
    database = portray_database(mastodon.conninfo())
    media = portray_files(mastodon.media)
    account.say(
        f"taken down for the comparison: SHA-256 of {len(database.tables)} tables and {len(media):,} media files"
    )
    return Original(database, media, portray_file(mastodon.secrets))


def _restore(account: Account, new: Machine, empty: ScratchCluster, sheet: Sheet, kept: Path) -> None:
    account.say("an empty PostgreSQL with Mastodon's role, and the vault's disk plugged in")
    socket_folder = str(empty.socket_folder)
    createuser = str(server_binaries() / "createuser")
    words = (f"--host={socket_folder}", "--username=postgres", "mastodon")
    new.program(("createuser", *words), (createuser, *words))
    account.typed(new.name, ("editor", "passphrase"))
    account.said(sheet.passphrase)
    passphrase = new.folder / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(f"{sheet.passphrase}\n")
    disk = f"../{kept.relative_to(new.folder.parent)}"
    began = time.monotonic()
    new.permafrost(
        *("restore", "latest", "--repository", f"{disk}/repository"),
        *("--passphrase-file", "passphrase", "--fingerprint", sheet.fingerprint),
        *("--database", DATABASE, "--secrets-to", "secrets", "--media-from", f"{disk}/media", "--media-to", "media"),
        *("--server", f"host={socket_folder} user=postgres"),
    )
    with psycopg.connect(empty.conninfo(DATABASE)) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    account.figure(
        "restore from the vault's copy, with media",
        time.monotonic() - began,
        f"{bytes_text(row[0] if row else 0)} database",
    )
