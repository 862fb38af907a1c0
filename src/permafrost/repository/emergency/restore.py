#!/usr/bin/env python3
# Part of permafrost. Licence: GNU Affero General Public License, version 3 or later (AGPL-3.0-or-later).
# ruff: noqa: INP001, T201, TID251 - a program of its own: it prints, and starts programs without permafrost
"""The emergency reader: restores snapshots of the permafrost repository that this file lies in.

  restore.py list                  the snapshots, newest first; "all there" looks at signature and sizes only
  restore.py check [SNAPSHOT]      compares every byte with its hash; needs no passphrase
  restore.py manifest [SNAPSHOT]   shows what a snapshot holds
  restore.py restore [SNAPSHOT] --database NAME [--secrets-to DIR] [--server 'host=... user=...']

With --fingerprint FINGERPRINT of the recovery sheet always; and with --passphrase-file FILE, or --secret-key-file FILE
if sealed to public keys (--passphrase-file is then for the key's own, if any), to open what is sealed. It needs Python
3.9, gpg, zstd, psql and pg_restore; passwords of PostgreSQL belong into ~/.pgpass. Nothing in plain text is written to
a disk but database and secrets. It ends with 0 only if all went well. Numbers in brackets: clauses of docs/format.md.
"""

import argparse
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

ENTRY = re.compile(r"# size (0|[1-9][0-9]*) (.+)\n([0-9a-f]{64})  \2\n")
PROVIDERS = {"c": "libc", "i": "icu ICU_LOCALE :'locale'", "b": "builtin BUILTIN_LOCALE :'locale'"}
COMPARE = """SELECT format('SELECT %L WHERE (SELECT count(*) FROM ONLY %I.%I) <> %s', t->>1, t->>0, t->>1, t->>2)
    FROM json_array_elements(:'tables') t \\gexec\n"""
say = partial(print, file=sys.stderr, flush=True)  # stdout is for what was asked for


class Failure(Exception):  # noqa: N818 - what the admin sees
    """What the admin has to know; nothing goes on after it."""


class Reader:
    """Reads the repository's folder with gpg, whose home is private and vanishes, and its agent with it."""

    def __init__(self, options: argparse.Namespace, home: str) -> None:
        self.root, self.home = Path(options.repository or __file__ + "/..").resolve(), Path(home)
        status = ("--status-file", f"{home}/status")
        self.command = ("gpg", "--homedir", home, "--batch", "--no-tty", "--no-options", "--quiet", *status)
        given = ("--passphrase-file", options.passphrase_file) if options.passphrase_file else ()
        self.key = ("--pinentry-mode", "loopback", *given, *(() if options.secret_key_file else ("--no-autostart",)))
        facts = json.loads(self.path("repository.json").read_bytes())
        if facts["format"] != 1 or not re.fullmatch("[0-9a-f]{32}", facts["repository"]):  # (1.1)
            raise Failure(f"{self.root} has a format that this program does not know; use a newer permafrost")
        self.id, key = facts["repository"], facts["signing_key"].upper()
        self.trusted = options.fingerprint.replace(" ", "").upper() or key
        if self.trusted != key:
            raise Failure(f"the signing key of this folder is {key},\nnot {self.trusted}: trust nothing in it")
        if not options.fingerprint:
            say(f"CAUTION: signed by {key}: compare that with the recovery sheet; if it differs, trust nothing here")
        self.gpg("--no-autostart", "--import", given=self.path("signing-key.asc").read_bytes())
        if options.secret_key_file:
            self.gpg(*self.key, "--import", given=Path(options.secret_key_file).read_bytes())

    def gpg(self, *words: str, given: bytes = b"") -> list[list[str]]:
        """Run gpg, if there are words for it, and return what the last gpg found: its status lines, as words."""
        if words:
            subprocess.run(self.command + words, input=given, capture_output=True, check=False)
        return [line.split()[1:] for line in (self.home / "status").read_text("utf-8", "replace").splitlines()]

    def path(self, name: str) -> Path:
        """Return where a file would be; names are data, and no symbolic link is followed (1.4)."""
        path = self.root / name
        if path.resolve() != path or (path.exists() and not path.is_file()):
            raise Failure(f"{name} is no plain file, or lies behind a symbolic link")
        return path

    def snapshots(self) -> list[str]:
        """Return the snapshots' ids, newest first (3.1)."""
        names = [path.name for path in (self.root / "snapshots").iterdir()]
        return sorted((name for name in names if re.fullmatch(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}", name)), reverse=True)

    def listed(self, snapshot: str) -> list[tuple[str, int, str]]:
        """Return name, size and hash of what a snapshot's list names, if its signature and form are right (7.1)."""
        folder = f"snapshots/{snapshot}"
        text, signature = self.path(f"{folder}/objects.sha256").read_bytes(), self.home / "signature"
        signature.write_bytes(self.path(f"{folder}/objects.sha256.sig").read_bytes())
        found = self.gpg("--no-autostart", "--verify", str(signature), "-", given=text)
        kinds, signers = [words[0] for words in found], [words[-1] for words in found if words[0] == "VALIDSIG"]
        if signers != [self.trusted] or kinds.count("NEWSIG") != 1 or kinds.count("GOODSIG") != 1:  # (4.3)
            raise Failure(f"the list of {snapshot} bears no good signature by the key {self.trusted}")
        entries = [(name, int(size), sha256) for size, name, sha256 in ENTRY.findall(text.decode("ascii", "replace"))]
        names = [f"{folder}/manifest.gpg"] + [f"objects/{sha256[:2]}/{sha256}.gpg" for _, _, sha256 in entries[1:]]
        again = f"# permafrost objects 1\n# repository {self.id}\n# snapshot {snapshot}\n" + "".join(
            f"# size {size} {name}\n{sha256}  {name}\n" for name, (_, size, sha256) in zip(names, entries)
        )
        if not entries or text != again.encode():  # (4.1, 4.2)
            raise Failure(f"the list of {snapshot} has not the form that it must have")
        return entries

    def compare(self, name: str, size: int, sha256: str, *, hashed: bool = True) -> None:
        """Raise unless a file has the size and, if asked for, the hash of its list (7.3)."""
        digest, path = hashlib.sha256(), self.path(name)
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(1 << 20) if hashed else b"", b""):
                digest.update(chunk)
        if path.stat().st_size != size or (hashed and digest.hexdigest() != sha256):
            raise Failure(f"{name} is damaged: take it from another copy of this folder")

    def state(self, snapshot: str, *, hashed: bool) -> str:
        """Return whether a snapshot is whole (not hashed: all there), in flight or corrupt, and say why (section 6)."""
        try:
            entries = self.listed(snapshot)
            missing = [name for name, _, _ in entries if not os.path.lexists(self.root / name)]
            for entry in entries:
                if entry[0] not in missing:
                    self.compare(*entry, hashed=hashed)
        except FileNotFoundError as error:
            missing = [str(error.filename)]
        except Failure as error:
            say(f"{snapshot} is corrupt: {error}")
            return "corrupt"
        if missing:
            say(f"{snapshot} is in flight, these are missing: {', '.join(missing)}")
        return "in flight" if missing else "whole" if hashed else "all there"

    def choose(self, wanted: str) -> str:
        """Return the snapshot of that id, or for `latest` the newest that is all there."""
        for snapshot in self.snapshots():
            if snapshot == wanted or (wanted == "latest" and self.state(snapshot, hashed=False) == "all there"):
                return snapshot
        raise Failure(f"there is no snapshot {wanted} to restore; see: restore.py list")

    def manifest(self, snapshot: str) -> tuple[dict[str, Any], list[tuple[str, int, str]]]:
        """Return a snapshot's manifest and its other objects' entries (7.1, 7.2)."""
        first, *entries = self.listed(snapshot)
        self.compare(*first)
        manifest = json.loads(self.opened(first[0]))
        ids = manifest["format"], manifest["repository"], manifest["snapshot"], manifest["signing_key"].upper()
        indices = sorted(one["index"] for one in manifest["objects"])
        if ids != (1, self.id, snapshot, self.trusted) or indices != list(range(len(entries))):
            raise Failure(f"the manifest of {snapshot} does not belong to its list")
        return manifest, entries

    def opened(self, name: str, *command: str, to_end: bool = True) -> bytes:
        """Return what gpg | zstd -d | command makes of an object; plain text is in pipes and memory only."""
        programs: list[subprocess.Popen[bytes]] = []
        source: Any = self.path(name).open("rb")
        with (self.home / "said").open("w+b") as said:
            try:
                for words in filter(None, ((*self.command, *self.key, "--decrypt"), ("zstd", "-dqc"), command)):
                    stderr = None if words is command else said
                    programs.append(subprocess.Popen(words, stdin=source, stdout=subprocess.PIPE, stderr=stderr))
                    source.close()  # else a program would not notice that the next one ended
                    source = programs[-1].stdout
                output = programs[-1].communicate()[0]
                ends = [program.wait() for program in programs]
            finally:
                for program in programs:
                    program.kill()
            said.seek(0)
            kinds = [words[0] for words in self.gpg()]
            is_one_message = kinds.count("DECRYPTION_OKAY") == kinds.count("GOODMDC") == 1  # (2.4)
            if ends[-1] or (to_end and (any(ends) or not is_one_message)):
                why = "" if is_one_message else "; its hash is right, so is this the right passphrase or secret key?"
                raise Failure(f"{name} was not read (ends: {ends}){why}\n{said.read().decode(errors='replace')}")
        return output


def psql(conninfo: str, script: str, **values: str) -> list[str]:
    """Run a script, in which :"name" and :'name' stand for values, quoted by psql; return the lines of its answer."""
    variables = [word for name, value in values.items() for word in ("-v", f"{name}={value}")]
    words = ("psql", "-XqAtw", "-v", "ON_ERROR_STOP=1", *variables, "-d", conninfo)
    done = subprocess.run(words, input=script.encode(), capture_output=True, check=False)
    if done.returncode:
        raise Failure(f"psql failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode().split("\n")[:-1]


def unpack(archive: bytes, folder: Path) -> None:
    """Write the secrets with their modes; raise before that if a name is not to be trusted (5.5)."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar.getmembers():
            if not member.isfile() or member.name.startswith("/") or ".." in member.name.split("/"):
                raise Failure(f"the secrets hold {member.name!r}, which is refused")
        for member in tar.getmembers():
            path, data = folder / member.name, tar.extractfile(member)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
                file.write(data.read() if data else b"")
                os.fchmod(file.fileno(), member.mode & 0o777)
            say(f"  {path} (it belonged to {member.uname}:{member.gname}, {member.uid}:{member.gid})")


def create(server: str, name: str, facts: dict[str, Any]) -> None:
    """Make an empty database as the old one was (5.1); raise, before that, if it is there or roles are missing."""
    if name in psql(server, "SELECT datname FROM pg_database"):
        raise Failure(f"the database {name} exists already and was not touched; give another name")
    roles = {facts["owner"], *(role["name"] for role in facts["roles"])}
    if absent := sorted(roles - set(psql(server, "SELECT rolname FROM pg_roles"))):
        commands = "".join(f'\n  CREATE ROLE "{role}" LOGIN;' for role in absent)
        raise Failure(f"the server lacks roles; nothing was touched. Run this in psql, and try again:{commands}")
    script = """CREATE DATABASE :"name" TEMPLATE template0 OWNER :"owner" ENCODING :'encoding'
        LC_COLLATE :'collate' LC_CTYPE :'ctype'"""
    if int(psql(server, "SHOW server_version_num")[0]) >= 150000:
        script += " LOCALE_PROVIDER " + PROVIDERS[facts["locale_provider"]]
    values = {key: facts.get(key, "") for key in ("owner", "encoding", "collate", "ctype", "locale")}
    psql(server, script, name=name, **values)


def restore(reader: Reader, options: argparse.Namespace) -> None:
    """Restore a snapshot into a new database that then has as many rows as were backed up, and its secrets."""
    name = options.database
    server, new = (f"{options.server} dbname='{one}'" for one in ("postgres", re.sub(r"([\\'])", r"\\\1", name)))
    snapshot = reader.choose(options.snapshot)
    manifest, entries = reader.manifest(snapshot)
    for entry in entries:
        reader.compare(*entry)
    objects = {one["kind"]: entries[one["index"]][0] for one in manifest["objects"]}
    secrets = reader.opened(objects["secrets"]) if options.secrets_to and "secrets" in objects else b""
    say(f"snapshot {snapshot} is whole and signed; making the database {name}")
    create(server, name, manifest["database"])
    load = (objects["frame"], "pg_restore", "--exit-on-error", "--no-password", "--dbname", new)
    try:
        reader.opened(*load, "--section=pre-data", "--section=data")
        psql(new, "ANALYZE")  # without it materialized views, which come last, can take days
        reader.opened(*load, "--section=post-data", to_end=False)
        tables = json.dumps([[table["schema"], table["name"], table["rows"]] for table in manifest["tables"]])
        if differing := psql(new, COMPARE, tables=tables):
            raise Failure(f"these tables have not the rows that were backed up: {', '.join(differing)}")
    except BaseException:
        say(f"""The database {name} is HALF MADE. Drop it:  psql -d "{server}" -c 'DROP DATABASE "{name}"'""")
        raise
    if secrets:
        unpack(secrets, Path(options.secrets_to))
    say(f"{name} is restored: {len(manifest['tables'])} tables with as many rows as were backed up")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("list", "check", "manifest", "restore"))
    parser.add_argument("snapshot", nargs="?", default="latest")
    for name in ("passphrase-file", "secret-key-file", "secrets-to", "fingerprint", "database", "server", "repository"):
        parser.add_argument(f"--{name}", default="")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    try:
        with tempfile.TemporaryDirectory(prefix="permafrost-", dir=in_memory) as home:
            reader = Reader(options, home)
            if options.action == "restore":
                restore(reader, options)
            elif options.action == "manifest":
                print(json.dumps(reader.manifest(reader.choose(options.snapshot))[0], indent=2))
            else:
                ...
    except (Failure, OSError, KeyError, ValueError, tarfile.TarError) as error:
        sys.exit(f"FAILED: {error}")


if __name__ == "__main__":
    main()
