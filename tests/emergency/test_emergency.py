"""restore.py and README.txt bring a repository back without permafrost."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import json
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import zstandard
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from permafrost.openpgp.home import stop_agent, temporary_home
from permafrost.openpgp.sealing import PassphraseSealing
from permafrost.openpgp.signing import export_public_key, generate_signing_key, sign_detached
from permafrost.postgres.connection import connected, conninfo_for
from permafrost.postgres.digest import TableContents
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.repository.sealed import seal_bytes
from tests.emergency import odd_database
from tests.emergency.disaster import (
    SECRET,
    Disaster,
    back_up_to,
    bare_path,
    connection_variables,
    ended,
    leftovers,
)
from tests.fixtures.backups import contents_of, drop
from tests.fixtures.hidden_rows import hide_a_duplicate
from tests.fixtures.postgresql import temporary_database
from tests.fixtures.server import PASSPHRASE, SigningKey

FILES = Path(__file__).parents[2] / "src" / "permafrost" / "repository" / "emergency"


@pytest.fixture(scope="module")
def source(cluster: ScratchCluster, mastodon_template: str) -> Iterator[str]:
    """The connection string of the database that is backed up."""
    with temporary_database(cluster, mastodon_template) as conninfo:
        yield conninfo


def _everything(conninfo: str) -> tuple[list[TableContents], list[object]]:
    """Return what a database holds: tables, and what belongs to none."""
    with connected(conninfo) as connection:
        queries = (
            "SELECT md5(sequencename), last_value FROM pg_sequences ORDER BY 1",
            "SELECT loid::text, md5(data) FROM pg_largeobject ORDER BY 1",
            "SELECT md5(matviewname), ispopulated FROM pg_matviews ORDER BY 1",
        )
        return contents_of(conninfo), [connection.execute(query).fetchall() for query in queries]


@pytest.fixture(scope="module")
def sealed_by_passphrase(
    source: str, cluster: ScratchCluster, signing_key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> Disaster:
    """What is left of a server that sealed with a passphrase."""
    folder = tmp_path_factory.mktemp("passphrase")
    return Disaster(
        repository=back_up_to(folder, source, signing_key),
        fingerprint=signing_key.fingerprint,
        passphrase_file=folder / "passphrase",
        secret_key_file=None,
        secret_name=str(folder / ".env.production").lstrip("/"),
        programs=bare_path(folder / "bin"),
        server=cluster.conninfo("postgres"),
        source=source,
    )


@pytest.fixture(scope="module")
def sealed_to_recipient(
    source: str, cluster: ScratchCluster, signing_key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> Disaster:
    """What is left of a server that sealed to a public key, whose secret key has a passphrase of its own."""
    folder = tmp_path_factory.mktemp("recipient")
    passphrase_file = folder / "passphrase-of-the-key"
    passphrase_file.write_text("of the key\n")
    home = folder / "admin"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
    gpg += ["--passphrase-file", str(passphrase_file)]
    subprocess.run([*gpg, "--quick-generate-key", "Admin <a@example.org>", "default", "default", "never"], check=True)
    listing = subprocess.run([*gpg, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True).stdout
    fingerprint = re.findall(r"^fpr:+([0-9A-F]{40}):", listing, re.MULTILINE)[0]
    recipients = folder / "recipients"
    recipients.mkdir()
    subprocess.run([*gpg, "--armor", "--output", str(recipients / f"{fingerprint}.asc"), "--export"], check=True)
    secret_key = folder / "secret.asc"
    subprocess.run([*gpg, "--armor", "--output", str(secret_key), "--export-secret-keys"], check=True)
    stop_agent(home)
    return Disaster(
        repository=back_up_to(folder, source, signing_key, recipients_dir=recipients),
        fingerprint=signing_key.fingerprint,
        passphrase_file=passphrase_file,
        secret_key_file=secret_key,
        secret_name=str(folder / ".env.production").lstrip("/"),
        programs=bare_path(folder / "bin"),
        server=cluster.conninfo("postgres"),
        source=source,
    )


@pytest.fixture(scope="module")
def logged(
    cluster: ScratchCluster, signing_key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Disaster]:
    """What is left of a server with the engine `log`, after several snapshots with changes in between."""
    with temporary_database(cluster, "template0") as conninfo:
        yield _odd_disaster(conninfo, "é".encode(), cluster, signing_key, tmp_path_factory.mktemp("logged"))


@pytest.fixture(scope="module")
def logged_sql_ascii(
    cluster: ScratchCluster, signing_key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Disaster]:
    """The same of a database in SQL_ASCII, with bytes in names and rows that are no UTF-8."""
    name = f"sql_ascii_{secrets.token_hex(4)}"
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING SQL_ASCII LOCALE 'C'")
    try:
        folder = tmp_path_factory.mktemp("ascii")
        yield _odd_disaster(cluster.conninfo(name), b"\xe9\xff", cluster, signing_key, folder)
    finally:
        drop(cluster.conninfo("postgres"), name)


def _odd_disaster(
    conninfo: str, letter: bytes, cluster: ScratchCluster, signing_key: SigningKey, folder: Path
) -> Disaster:
    odd_database.fill(conninfo, letter)
    changes = odd_database.changes(conninfo, letter)
    return Disaster(
        repository=back_up_to(folder, conninfo, signing_key, engine="log", changes=changes),
        fingerprint=signing_key.fingerprint,
        passphrase_file=folder / "passphrase",
        secret_key_file=None,
        secret_name=str(folder / ".env.production").lstrip("/"),
        programs=bare_path(folder / "bin"),
        server=cluster.conninfo("postgres"),
        source=conninfo,
    )


@pytest.fixture(params=["sealed_by_passphrase", "sealed_to_recipient", "logged", "logged_sql_ascii"])
def disaster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disaster]:
    """What is left of a server: a copy of its repository that cannot be written to, sealed in either way."""
    left: Disaster = request.getfixturevalue(request.param)
    copy = replace(left, repository=tmp_path / "repository")
    shutil.copytree(left.repository, copy.repository)
    _set_folder_modes(copy.repository, 0o555)
    yield copy
    _set_folder_modes(copy.repository, 0o755)


@pytest.fixture
def spoilt(sealed_by_passphrase: Disaster, tmp_path: Path) -> Disaster:
    """A copy of the repository sealed by a passphrase for a test to spoil."""
    shutil.copytree(sealed_by_passphrase.repository, tmp_path / "repository")
    return replace(sealed_by_passphrase, repository=tmp_path / "repository")


@pytest.fixture
def name(cluster: ScratchCluster) -> Iterator[str]:
    """A new database's name, with all that needs quoting; it is dropped at the end, if it was made."""
    made = f'We\'re "back" \\ {secrets.token_hex(4)}'
    yield made
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(made)))


def _set_folder_modes(root: Path, mode: int) -> None:
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(mode)


def _tree(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def _rewrite(file: Path, data: bytes) -> None:
    file.chmod(0o644)
    file.write_bytes(data)


def _flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    _rewrite(file, bytes(data))


def _exists(disaster: Disaster, name: str) -> bool:
    with psycopg.connect(disaster.server) as connection:
        return connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None


@pytest.mark.format("5.2", "5.4", "5.5", "5.6", "5.7", "5.8", "5.9", "5.10", "5.11", "7.1", "7.2", "7.3", "8.1")
def test_restore_py_restores_on_a_bare_path(disaster: Disaster, name: str, tmp_path: Path) -> None:
    """With Python, gpg, zstd, psql and pg_restore alone, all tables come back equal and secrets with their modes."""
    untouched = _tree(disaster.repository)
    done = disaster.run("restore", "latest", "--database", name, "--secrets-to", str(tmp_path / "secrets"))
    assert done.returncode == 0, done.stderr
    restored = conninfo_for(disaster.server, dbname=name)
    assert _everything(restored) == _everything(disaster.source)
    assert "settings (ALTER DATABASE) were not restored" in done.stderr
    secret = tmp_path / "secrets" / disaster.secret_name
    assert secret.read_text() == SECRET
    assert stat.S_IMODE(secret.stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert _tree(disaster.repository) == untouched
    deadline = time.monotonic() + 30
    while leftovers():  # other tests' own vanish as well
        assert time.monotonic() < deadline, leftovers()


@pytest.mark.format("8.2")
def test_readme_commands_restore_as_they_stand(disaster: Disaster, tmp_path: Path) -> None:
    """The commands of README.txt, pasted into bash, bring back all tables equal, and the secrets."""
    lines = (disaster.repository / "README.txt").read_text().splitlines()
    script = tmp_path / "commands"
    script.write_text("".join(f"{line}\n" for line in lines if line.startswith("    ")))
    name = f"by_hand_{secrets.token_hex(4)}"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "REPOSITORY": str(disaster.repository),
        "FINGERPRINT": disaster.fingerprint,
        "PASSPHRASE_FILE": str(disaster.passphrase_file),
        "SECRET_KEY_FILE": str(disaster.secret_key_file or ""),
        "DATABASE": name,
        **connection_variables(disaster.server),
    }
    try:
        done = ended(("bash", "-e", str(script)), environment)
        assert done.returncode == 0, done.stderr
        assert _everything(conninfo_for(disaster.server, dbname=name)) == _everything(disaster.source)
    finally:
        drop(disaster.server, name)
    assert disaster.fingerprint in done.stdout  # to be compared with the recovery sheet
    assert "statuses" not in done.stdout.partition("ANALYZE")[2]  # no table differs
    secret = tmp_path / "mastodon-secrets" / disaster.secret_name
    assert secret.read_text() == SECRET
    assert stat.S_IMODE(secret.stat().st_mode) == 0o640


@pytest.mark.format("8.2")
def test_readme_is_for_a_terminal() -> None:
    """README.txt is short, fits 78 columns, and its commands can be told from its words."""
    lines = (FILES / "README.txt").read_text().splitlines()
    assert len(lines) <= 160
    assert max(map(len, lines)) <= 78
    prose = [line for line in lines if not line.startswith("    ")]
    assert not [line for line in prose if line.startswith(("   ", "\t"))]


@pytest.mark.format("8.1")
def test_restore_py_stands_alone() -> None:
    """restore.py is one executable file of Python's standard library alone, in the words of Python 3.9."""
    text = (FILES / "restore.py").read_text()
    tree = ast.parse(text, feature_version=(3, 9))
    imported = {
        name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    imported |= {(node.module or "?").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= set(sys.stdlib_module_names)
    assert len(text.splitlines()) <= 400
    assert os.access(FILES / "restore.py", os.X_OK)
    assert "AGPL-3.0-or-later" in text.splitlines()[1]


@pytest.mark.format("2.4")
def test_a_wrong_passphrase_is_refused(spoilt: Disaster, name: str, tmp_path: Path) -> None:
    """A wrong passphrase is told as such, and nothing is made."""
    wrong = tmp_path / "wrong"
    wrong.write_text(PASSPHRASE.lower() + "\n")
    done = spoilt.run("restore", "--database", name, key=wrong)
    assert done.returncode != 0
    assert "is it the right passphrase" in done.stderr
    assert not _exists(spoilt, name)


@pytest.mark.format("2.1", "6.3", "7.3")
def test_a_flipped_bit_is_refused(spoilt: Disaster, name: str) -> None:
    """An object with one bit flipped is named by check and restore, and nothing is made."""
    victim = spoilt.objects[0]
    _flip_a_bit(victim)
    for words in (("check",), ("restore", "--database", name)):
        done = spoilt.run(*words)
        assert done.returncode != 0
        assert re.search(rf"{victim.name} is damaged", done.stdout + done.stderr)
    assert not _exists(spoilt, name)


@pytest.mark.format("5.9", "7.3")
def test_a_flipped_bit_of_a_delta_is_refused(logged: Disaster, name: str, tmp_path: Path) -> None:
    """A delta object with one bit flipped is named before anything is made."""
    shutil.copytree(logged.repository, tmp_path / "repository")
    copy = replace(logged, repository=tmp_path / "repository")
    listed = (copy.repository / "snapshots" / copy.snapshot / "objects.sha256").read_text()
    names = re.findall(r"^[0-9a-f]{64}  (objects/.+)$", listed, re.MULTILINE)
    objects = json.loads(copy.run("manifest").stdout)["objects"]
    victim = copy.repository / names[[one["index"] for one in objects if one["kind"] == "delta"][-1]]
    _flip_a_bit(victim)
    done = copy.run("restore", "latest", "--database", name)
    assert done.returncode != 0
    assert f"{victim.name} is damaged" in done.stderr
    assert not _exists(copy, name)


@pytest.mark.format("5.7", "5.8", "5.9")
def test_the_logged_database_has_all_kinds_of_elements(logged: Disaster) -> None:
    """The snapshot that the other tests restore has bases, segments of several elements, and more lines than rows."""
    manifest = json.loads(logged.run("manifest", "latest").stdout)
    kinds = [one["kind"] for one in manifest["objects"]]
    assert kinds.count("frame") == 1
    assert kinds.count("delta") > 2
    large = next(table for table in manifest["tables"] if table["name"] == "large")
    bases = [segment["base"] for segment in large["segments"] if "base" in segment]
    assert bases
    assert {kinds[index] for index, _ in bases} == {"base"}
    assert any(len(segment["deltas"]) > 1 for segment in large["segments"])
    lines = sum(lines for _, lines in bases)
    lines += sum(lines for segment in large["segments"] for _, _, lines in segment["deltas"])
    assert lines > large["rows"]


@pytest.mark.format("1.2", "4.3", "6.3")
@pytest.mark.parametrize("with_own_key", [False, True])
def test_a_forged_list_is_refused(spoilt: Disaster, name: str, tmp_path: Path, with_own_key: bool) -> None:
    """A list that was changed is refused, even if it is signed anew and the folder's key was replaced as well."""
    folder = spoilt.repository / "snapshots" / spoilt.snapshot
    listed = folder / "objects.sha256"
    _rewrite(listed, b"".join(listed.read_bytes().splitlines(keepends=True)[:-2]))
    if with_own_key:
        home = tmp_path / "forger"
        fingerprint = generate_signing_key(home, "forger")
        _rewrite(folder / "objects.sha256.sig", sign_detached(home, fingerprint, listed.read_bytes()))
        _rewrite(spoilt.repository / "signing-key.asc", export_public_key(home, fingerprint))
        stop_agent(home)
        facts = spoilt.repository / "repository.json"
        _rewrite(facts, json.dumps(json.loads(facts.read_text()) | {"signing_key": fingerprint}).encode())
    done = spoilt.run("restore", "--database", name)
    assert done.returncode != 0
    assert ("trust nothing in it" if with_own_key else "has no good signature") in done.stderr
    assert not _exists(spoilt, name)


@pytest.mark.format("7.2")
@pytest.mark.parametrize("key", [[], {}, None, 7])
def test_a_manifest_of_another_form_is_refused(spoilt: Disaster, signing_key: SigningKey, key: object) -> None:
    """A signed manifest whose values are of other kinds than the format's is an error in one line."""
    folder = spoilt.repository / "snapshots" / spoilt.snapshot
    manifest = json.loads(spoilt.run("manifest").stdout) | {"signing_key": key}
    packed = zstandard.ZstdCompressor().compress(json.dumps(manifest).encode())
    assert spoilt.passphrase_file is not None
    sealing = PassphraseSealing(spoilt.passphrase_file)
    with temporary_home() as home:
        sealed = seal_bytes(home, sealing, packed)
    before, listed = (folder / "manifest.gpg").read_bytes(), (folder / "objects.sha256").read_bytes()
    listed = listed.replace(hashlib.sha256(before).hexdigest().encode(), hashlib.sha256(sealed).hexdigest().encode())
    listed = listed.replace(b"# size %d snapshots/" % len(before), b"# size %d snapshots/" % len(sealed))
    _rewrite(folder / "manifest.gpg", sealed)
    _rewrite(folder / "objects.sha256", listed)
    _rewrite(folder / "objects.sha256.sig", sign_detached(signing_key.home, signing_key.fingerprint, listed))
    done = spoilt.run("manifest")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.format("4.2")
def test_a_snapshot_under_another_name_is_refused(spoilt: Disaster) -> None:
    """A list that names another snapshot than its folder's is corrupt."""
    renamed = spoilt.repository / "snapshots" / "20990101T000000Z-00000000"
    (spoilt.repository / "snapshots" / spoilt.snapshot).rename(renamed)
    done = spoilt.run("check")
    assert done.returncode != 0
    assert "corrupt" in done.stdout


@pytest.mark.format("1.2", "4.3")
def test_a_wrong_fingerprint_is_refused(spoilt: Disaster, name: str) -> None:
    """Another key than that of the recovery sheet is not trusted, and nothing is made."""
    done = spoilt.run("restore", "--database", name, fingerprint="F" * 40)
    assert done.returncode != 0
    assert "trust nothing in it" in done.stderr
    assert not _exists(spoilt, name)


def test_without_a_fingerprint_the_folders_own_is_told(spoilt: Disaster) -> None:
    """Whoever gives no fingerprint is told which one to compare with the recovery sheet."""
    done = spoilt.run("list", fingerprint="")
    assert done.returncode == 0
    assert spoilt.fingerprint in done.stderr
    assert "recovery sheet" in done.stderr
    assert f"{spoilt.snapshot}  all there" in done.stdout


def test_an_existing_database_is_refused(spoilt: Disaster, source: str) -> None:
    """A database that is there is named and stays as it is."""
    name = conninfo_to_dict(source)["dbname"]
    held = contents_of(source)
    done = spoilt.run("restore", "--database", str(name))
    assert done.returncode != 0
    assert f'database "{name}" already exists' in done.stderr
    assert "HALF MADE" not in done.stderr
    assert contents_of(source) == held


def test_a_missing_role_is_told_with_its_command(
    cluster: ScratchCluster, signing_key: SigningKey, sealed_by_passphrase: Disaster, name: str, tmp_path: Path
) -> None:
    """Where the owner's role is missing, restore.py says which CREATE ROLE to run and makes nothing."""
    role = f"owner_{secrets.token_hex(4)}"
    with (
        temporary_database(cluster, "template0") as conninfo,
        psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection,
    ):
        database = sql.Identifier(str(conninfo_to_dict(conninfo)["dbname"]))
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        try:
            owned_by = sql.SQL("ALTER DATABASE {} OWNER TO {}")
            connection.execute(owned_by.format(database, sql.Identifier(role)))
            left = replace(sealed_by_passphrase, repository=back_up_to(tmp_path, conninfo, signing_key))
            connection.execute(owned_by.format(database, sql.Identifier("postgres")))
        finally:
            connection.execute(sql.SQL("DROP OWNED BY {r}; DROP ROLE {r}").format(r=sql.Identifier(role)))
    done = left.run("restore", "--database", name)
    assert done.returncode != 0
    assert f'CREATE ROLE "{role}" LOGIN;' in done.stderr
    assert not _exists(left, name)


def test_a_half_made_database_is_told(spoilt: Disaster, name: str, tmp_path: Path) -> None:
    """If pg_restore fails, restore.py quotes it, and says which database is half made and how to drop it."""
    programs = tmp_path / "bin"
    shutil.copytree(spoilt.programs, programs, symlinks=True)
    (programs / "pg_restore").unlink()
    (programs / "pg_restore").write_text("#!/bin/sh\necho >&2 'pg_restore: no luck today'\nexit 1\n")
    (programs / "pg_restore").chmod(0o755)
    done = replace(spoilt, programs=programs).run("restore", "--database", name)
    assert done.returncode != 0
    assert "pg_restore failed\npg_restore: no luck today" in done.stderr
    assert "passphrase" not in done.stderr
    assert "HALF MADE" in done.stderr
    assert "DROP DATABASE" in done.stderr


def test_rows_that_a_unique_index_cannot_have_come_back(
    name: str, cluster: ScratchCluster, signing_key: SigningKey, tmp_path: Path
) -> None:
    """Duplicates that an index hid come back with all other rows; restore.py names the key, and fails."""
    with temporary_database(cluster, "template0") as source:
        with psycopg.connect(source) as connection:
            hide_a_duplicate(connection)
        left = Disaster(
            repository=back_up_to(tmp_path, source, signing_key, engine="log"),
            fingerprint=signing_key.fingerprint,
            passphrase_file=tmp_path / "passphrase",
            secret_key_file=None,
            secret_name="",
            programs=bare_path(tmp_path / "bin"),
            server=cluster.conninfo("postgres"),
            source=source,
        )
        done = left.run("restore", "--database", name)
        restored = conninfo_for(left.server, dbname=name)
        assert contents_of(restored) == contents_of(source)
    assert done.returncode != 0
    assert "pg_restore failed" in done.stderr
    assert "Key (lower(username))=(user7) is duplicated" in done.stderr
    assert f"{name} has all its rows, and is NOT WHOLE" in done.stderr
    assert "HALF MADE" not in done.stderr


@pytest.mark.format("5.2")
def test_lost_rows_are_found(spoilt: Disaster, name: str, tmp_path: Path) -> None:
    """A table that came back with a row too few is named, and the restore has failed."""
    programs = tmp_path / "bin"
    shutil.copytree(spoilt.programs, programs, symlinks=True)
    loader = programs / "pg_restore"
    real = loader.readlink()
    loader.unlink()
    # restore.py's words: --no-password --dbname CONNINFO --section=...
    losing = "delete from status_stats where id in (select id from status_stats limit 1)"
    loader.write_text(f'#!/bin/sh\n{real} "$@" && case "$*" in *post-data*) psql -Xqc "{losing}" -d "$3";; esac\n')
    loader.chmod(0o755)
    done = replace(spoilt, programs=programs).run("restore", "--database", name)
    assert done.returncode != 0
    assert "do not have the rows that were backed up: status_stats\n" in done.stderr


def test_a_missing_program_is_named(spoilt: Disaster, name: str, tmp_path: Path) -> None:
    """If a program is not installed, restore.py names it."""
    programs = tmp_path / "bin"
    shutil.copytree(spoilt.programs, programs, symlinks=True)
    (programs / "zstd").unlink()
    done = replace(spoilt, programs=programs).run("restore", "--database", name)
    assert done.returncode != 0
    assert "zstd" in done.stderr
    assert not _exists(spoilt, name)


@pytest.mark.format("3.1", "6.1", "6.2", "6.4")
def test_snapshots_are_listed_with_their_states(spoilt: Disaster, name: str) -> None:
    """A snapshot that has not arrived whole is in flight and passed over; what is no snapshot is left out."""
    snapshot = spoilt.snapshot
    snapshots = spoilt.repository / "snapshots"
    made_at = datetime.strptime(snapshot[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    newer = snapshots / f"{made_at + timedelta(seconds=1):%Y%m%dT%H%M%SZ}-00000000"
    newer.mkdir()
    (snapshots / "notes").mkdir()
    assert spoilt.run("check").stdout.splitlines() == [
        f"{newer.name}  in flight: {newer}/objects.sha256 is missing",
        f"{snapshot}  whole",
    ]
    done = spoilt.run("manifest")
    assert json.loads(done.stdout)["snapshot"] == snapshot
    assert f"{newer.name} cannot be restored" in done.stderr
    spoilt.objects[0].unlink()
    assert f"{snapshot}  in flight" in spoilt.run("check").stdout
    assert spoilt.run("restore", "--database", name).returncode != 0
    assert not _exists(spoilt, name)


@pytest.mark.format("6.3")
def test_corrupt_weighs_more_than_missing(spoilt: Disaster) -> None:
    """A snapshot with one object missing and another damaged is corrupt."""
    for missing, damaged in ((0, 1), (1, 0)):
        again = spoilt.repository.with_name(f"again{missing}")
        shutil.copytree(spoilt.repository, again)
        copy = replace(spoilt, repository=again)
        files = copy.objects
        _flip_a_bit(files[damaged])
        files[missing].unlink()
        assert (
            f"corrupt: objects/{files[damaged].parent.name}/{files[damaged].name} is damaged"
            in copy.run("check").stdout
        )


@pytest.mark.format("1.4")
def test_symbolic_links_are_not_followed(spoilt: Disaster) -> None:
    """An object behind a symbolic link is refused, even if its bytes are right."""
    victim = spoilt.objects[0]
    outside = victim.rename(spoilt.repository.parent / "outside")
    victim.symlink_to(outside)
    done = spoilt.run("check")
    assert done.returncode != 0
    assert "symbolic link" in done.stdout


@pytest.mark.format("1.1")
def test_unknown_formats_are_refused(spoilt: Disaster) -> None:
    """A repository of a later format is refused; keys that are not known are ignored."""
    file = spoilt.repository / "repository.json"
    facts = json.loads(file.read_text())
    _rewrite(file, json.dumps(facts | {"later": True}).encode())
    assert spoilt.run("check").returncode == 0
    _rewrite(file, json.dumps(facts | {"format": 2}).encode())
    done = spoilt.run("check")
    assert done.returncode != 0
    assert "use a newer permafrost" in done.stderr


@pytest.mark.format("5.5")
@pytest.mark.parametrize(
    ("member", "kind"),
    [("/etc/shadow", tarfile.REGTYPE), ("a/../../b", tarfile.REGTYPE), ("a", tarfile.SYMTYPE), ("a", tarfile.DIRTYPE)],
)
def test_bad_names_of_secrets_are_refused(tmp_path: Path, member: str, kind: bytes) -> None:
    """Secrets that are no regular files, or that would lie outside the folder, are refused before any is written."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("first"))
        info = tarfile.TarInfo(member)
        info.type, info.linkname = kind, "/etc/shadow"
        tar.addfile(info)
    reader = _restore_py()
    with pytest.raises(reader.RestoreError, match="refused"):
        reader.unpack(archive.getvalue(), tmp_path / "secrets")
    assert not (tmp_path / "secrets").exists()


def _restore_py() -> Any:  # noqa: ANN401 - a module that is no part of the package
    spec = importlib.util.spec_from_file_location("emergency_restore", FILES / "restore.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
