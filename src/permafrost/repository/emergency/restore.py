#!/usr/bin/env python3
# Part of permafrost. Licence: GNU Affero General Public License, version 3 or later (AGPL-3.0-or-later).
"""The emergency reader: restores snapshots of the permafrost repository that this file lies in.

  restore.py list                  the snapshots, newest first; "all there" is by signature and sizes
  restore.py check [SNAPSHOT]      compares every byte with its hash
  restore.py manifest [SNAPSHOT]   shows what a snapshot holds
  restore.py restore [SNAPSHOT] --database NAME [--secrets-to NEW-FOLDER] [--server 'host=... user=...']

Give --fingerprint from the recovery sheet, and --passphrase-file (or --secret-key-file; --passphrase-file is then for
that key's own). Needs Python 3.9, gpg, zstd, psql, pg_restore. Ends with 0 only if all is well. (1.1): docs/format.md.
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

ENTRY = re.compile(r"# size ([0-9]+) .+\n([0-9a-f]{64})  .+\n")
PROVIDERS = {"c": "libc", "i": "icu ICU_LOCALE :'locale'", "b": "builtin BUILTIN_LOCALE :'locale'"}
COMPARE = """SELECT format('SELECT %L WHERE (SELECT count(*) FROM ONLY %I.%I) <> %L', t->>'name', t->>'schema',
    t->>'name', t->>'rows') FROM json_array_elements(:'tables') t \\gexec\n"""
say = partial(print, file=sys.stderr, flush=True)  # stdout is for what was asked for


class RestoreError(Exception):
    """What the admin has to know; nothing goes on after it."""


class Reader:
    """Reads a repository with gpg, whose home is private and vanishes, and its agent when it sees that."""

    def __init__(self, options: argparse.Namespace, home: Path) -> None:
        self.root, self.home = Path(options.repository or __file__ + "/..").resolve(), home
        facts = json.loads(self.path("repository.json").read_bytes())
        if facts["format"] != 1 or not re.fullmatch("[0-9a-f]{32}", facts["repository"]):  # (1.1)
            raise RestoreError(f"{self.root} has a format that this program does not know; use a newer permafrost")
        self.id, key = facts["repository"], facts["signing_key"].upper()
        self.trusted = options.fingerprint.replace(" ", "").upper() or key
        if self.trusted != key:
            raise RestoreError(f"this folder's signing key is {key},\nnot {self.trusted}: trust nothing in it")
        say(f"signing key: {key} (if the recovery sheet has another, trust nothing in this folder)")
        self.gpg("--no-autostart", "--import", given=self.path("signing-key.asc").read_bytes())
        self.key = ["--pinentry-mode", "loopback", "--passphrase-file", options.passphrase_file or os.devnull]
        if options.secret_key_file:
            self.gpg(*self.key, "--import", given=Path(options.secret_key_file).read_bytes())
        else:
            self.key += ["--no-autostart"]

    def command(self, *words: str) -> tuple[str, ...]:
        """Return a gpg command line; what an earlier gpg found is forgotten."""
        (self.home / "status").write_bytes(b"")
        options = ("--batch", "--no-tty", "--no-options", "--quiet", "--status-file", f"{self.home}/status")
        return ("gpg", "--homedir", str(self.home), *options, *words)

    def gpg(self, *words: str, given: bytes = b"") -> list[list[str]]:
        """Run gpg, if there are words for it, and return what the last gpg found: its status lines, as words."""
        if words:
            subprocess.run(self.command(*words), input=given, capture_output=True, check=False)
        return [line.split()[1:] for line in (self.home / "status").read_text("utf-8", "replace").splitlines()]

    def path(self, name: str) -> Path:
        """Return where a file should be; names are data, and no symbolic link is followed (1.4)."""
        path = self.root / name
        if path.resolve() != path or (path.exists() and not path.is_file()):
            raise RestoreError(f"{name} is no plain file, or lies behind a symbolic link")
        return path

    def listed(self, snapshot: str) -> list[tuple[str, int, str]]:
        """Return name, size and hash of all that a snapshot needs, if signature and form of its list are right."""
        folder, signature = f"snapshots/{snapshot}", self.home / "signature"
        text = self.path(f"{folder}/objects.sha256").read_bytes()
        signature.write_bytes(self.path(f"{folder}/objects.sha256.sig").read_bytes())
        found = self.gpg("--no-autostart", "--verify", str(signature), "-", given=text)
        kinds, signers = [words[0] for words in found], [words[-1] for words in found if words[0] == "VALIDSIG"]
        if signers != [self.trusted] or kinds.count("NEWSIG") != 1 or kinds.count("GOODSIG") != 1:  # (4.3)
            raise RestoreError(f"the list of {snapshot} bears no good signature by the key {self.trusted}")
        entries: list[tuple[str, int, str]] = []
        for size, sha256 in ENTRY.findall(text.decode("ascii", "replace")):
            name = f"objects/{sha256[:2]}/{sha256}.gpg" if entries else f"{folder}/manifest.gpg"
            entries.append((name, int(size), sha256))
        again = f"# permafrost objects 1\n# repository {self.id}\n# snapshot {snapshot}\n"
        again += "".join(f"# size {size} {name}\n{sha256}  {name}\n" for name, size, sha256 in entries)
        if not entries or text != again.encode():  # (4.1, 4.2)
            raise RestoreError(f"the list of {snapshot} has not the form that it must have")
        return entries

    def compare(self, name: str, size: int, sha256: str, *, hashed: bool = True) -> None:
        """Raise unless a file has the size and, if asked for, the hash of its list (7.3)."""
        digest, path = hashlib.sha256(), self.path(name)
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(1 << 20) if hashed else b"", b""):
                digest.update(chunk)
        if path.stat().st_size != size or (hashed and digest.hexdigest() != sha256):
            raise RestoreError(f"{name} is damaged: take it from another copy of the repository")

    def state(self, snapshot: str, *, hashed: bool) -> str:
        """Return whether a snapshot is whole (not hashed: all there), in flight or corrupt, and why (section 6)."""
        try:
            for entry in sorted(self.listed(snapshot), key=lambda entry: not os.path.lexists(self.root / entry[0])):
                self.compare(*entry, hashed=hashed)  # what is missing comes last: corrupt weighs more
        except FileNotFoundError as error:
            return f"in flight: {error.filename} is missing"
        except RestoreError as error:
            return f"corrupt: {error}"
        return "whole" if hashed else "all there"

    def states(self, wanted: str, *, hashed: bool) -> dict[str, str]:
        """Return the states of the wanted snapshot, or of all, newest first (3.1)."""
        ids = [path.name for path in (self.root / "snapshots").iterdir() if wanted in ("", path.name)]
        ids = [one for one in ids if re.fullmatch(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}", one)]
        return {snapshot: self.state(snapshot, hashed=hashed) for snapshot in sorted(ids, reverse=True)}

    def manifest(self, wanted: str) -> tuple[dict[str, Any], list[tuple[str, int, str]]]:
        """Return the manifest and the other objects' entries of a snapshot: the wanted, or the newest all there."""
        for snapshot, state in self.states(wanted, hashed=False).items():
            if state == "all there":
                break
            say(f"CAUTION: {snapshot} cannot be restored; it is {state}")
        else:
            raise RestoreError("there is no such snapshot, or none that is all there; see: restore.py list")
        first, *entries = self.listed(snapshot)  # (7.1)
        self.compare(*first)
        manifest = json.loads(self.opened(first[0]))
        ids = manifest["format"], manifest["repository"], manifest["snapshot"], manifest["signing_key"].upper()
        indices = sorted(one["index"] for one in manifest["objects"])
        if ids != (1, self.id, snapshot, self.trusted) or indices != list(range(len(entries))):  # (7.2)
            raise RestoreError(f"the manifest of {snapshot} does not belong to its list")
        return manifest, entries

    def opened(self, name: str, *program: str, to_end: bool = True) -> bytes:
        """Return what gpg | zstd -d | program makes of an object; plain text is in pipes and memory only."""
        running: list[subprocess.Popen[bytes]] = []
        source: Any = self.path(name).open("rb")
        with (self.home / "said").open("wb") as said:
            try:
                for words in filter(None, (self.command(*self.key, "--decrypt"), ("zstd", "-dqc"), program)):
                    running.append(subprocess.Popen(words, stdin=source, stdout=subprocess.PIPE, stderr=said))
                    source.close()  # else a program would not notice that the next one ended
                    source = running[-1].stdout
                output = running[-1].communicate()[0]
                ends = [one.wait() for one in running]
            finally:
                for one in running:
                    one.kill()
        counts = [sum(words[0] == kind for words in self.gpg()) for kind in ("DECRYPTION_OKAY", "GOODMDC")]
        if ends[-1] or (to_end and (any(ends) or counts != [1, 1])):  # (2.4)
            text = Path(said.name).read_text("utf-8", "replace")
            raise RestoreError(f"cannot read {name} {ends}; is it the right passphrase or secret key?\n{text}")
        return output


def psql(conninfo: str, script: str, **values: object) -> list[str]:
    """Run a script, in which :"name" and :'name' stand for values, quoted by psql; return the lines of its answer."""
    words = ["psql", "-XqAtw", "--set=ON_ERROR_STOP=1", *(f"--set={key}={values[key]}" for key in values)]
    done = subprocess.run([*words, "-d", conninfo], input=script.encode(), capture_output=True, check=False)
    if done.returncode:
        raise RestoreError(f"psql failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode().split("\n")[:-1]


def create(server: str, name: str, facts: dict[str, Any]) -> None:
    """Make an empty database as the old one was (5.1); raise, before that, if it is there or roles are not."""
    there = psql(server, "SELECT rolname FROM pg_roles")
    if absent := sorted({facts["owner"], *(role["name"] for role in facts.get("roles", ()))} - {*there}):
        commands = "".join(f'\n  CREATE ROLE "{role}" LOGIN;' for role in absent)
        raise RestoreError(f"the server lacks roles; nothing was touched. Run this in psql, and try again:{commands}")
    script = """CREATE DATABASE :"name" TEMPLATE template0 OWNER :"owner" ENCODING :'encoding' LC_COLLATE :'collate'
        LC_CTYPE :'ctype'"""
    if int(psql(server, "SHOW server_version_num")[0]) >= 150000:
        script += " LOCALE_PROVIDER " + PROVIDERS[facts["locale_provider"]]
    psql(server, script, **{**facts, "name": name})


def restore(reader: Reader, options: argparse.Namespace) -> None:
    """Restore a snapshot into a new database that then has as many rows as were backed up, and its secrets."""
    name = options.database
    server, new = (f"{options.server} dbname='{one}'" for one in ("postgres", re.sub(r"([\\'])", r"\\\1", name)))
    manifest, entries = reader.manifest(options.snapshot)
    for entry in entries:
        reader.compare(*entry)  # (7.3)
    objects = {one["kind"]: entries[one["index"]][0] for one in manifest["objects"]}
    say(f"snapshot {manifest['snapshot']} is whole and signed, and holds: {', '.join(objects)}")
    if manifest["engine"] != "dump":
        raise RestoreError("this program reads snapshots of the engine `dump` only; use a newer permafrost")
    if options.secrets_to and "secrets" in objects:
        unpack(reader.opened(objects["secrets"]), Path(options.secrets_to))
    create(server, name, manifest["database"])
    load = (objects["frame"], "pg_restore", "--exit-on-error", "--no-password", "--dbname", new)
    try:
        reader.opened(*load, "--section=pre-data", "--section=data")
        psql(new, "ANALYZE")  # without it materialized views, which come last, can take days
        reader.opened(*load, "--section=post-data", to_end=False)
        if differing := psql(new, COMPARE, tables=json.dumps(manifest["tables"])):
            raise RestoreError(f"these tables have not the rows that were backed up: {', '.join(differing)}")
    except BaseException:
        say(f"""The database {name} is HALF MADE. Drop it:  psql -d "{server}" -c 'DROP DATABASE "{name}"'""")
        raise
    say(f"{name} is restored: {len(manifest['tables'])} tables with as many rows as were backed up")


def unpack(archive: bytes, folder: Path) -> None:
    """Write the secrets into a new folder, with modes and, as root, owners; raise on a wrong name (5.5)."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar.getmembers():
            if not member.isfile() or member.name.startswith("/") or ".." in member.name.split("/"):
                raise RestoreError(f"the secrets hold {member.name!r}, which is refused")
        folder.mkdir(mode=0o700)
        tar.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
        tar.extractall(folder)  # noqa: S202 - its names were looked at


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("list", "check", "manifest", "restore"))
    parser.add_argument("snapshot", nargs="?", default="")
    for name in ("passphrase-file", "secret-key-file", "secrets-to", "fingerprint", "database", "server", "repository"):
        parser.add_argument(f"--{name}", default="")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - the folder in it is private
    try:
        with tempfile.TemporaryDirectory(prefix="permafrost-", dir=in_memory) as home:
            reader = Reader(options, Path(home))
            if options.action == "restore":
                restore(reader, options)
            elif options.action == "manifest":
                print(json.dumps(reader.manifest(options.snapshot)[0], indent=2))
            else:
                states = reader.states(options.snapshot, hashed=options.action == "check")
                print("\n".join(f"{snapshot}  {state}" for snapshot, state in states.items()) or "no such snapshot")
                sys.exit(not states or not {*states.values()} <= {"whole", "all there"})
    except (RestoreError, KeyboardInterrupt, OSError, KeyError, TypeError, ValueError, tarfile.TarError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
