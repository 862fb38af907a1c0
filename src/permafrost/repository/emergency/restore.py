#!/usr/bin/env python3
# Part of permafrost. Licence: GNU Affero General Public License, version 3 or later (AGPL-3.0-or-later).
"""The emergency reader: restores snapshots of the permafrost repository that contains this file.

  restore.py list                  lists the snapshots, newest first; "all there" is by signature and sizes
  restore.py check [SNAPSHOT]      compares every byte with its hash
  restore.py manifest [SNAPSHOT]   shows what a snapshot contains; SNAPSHOT may be: latest
  restore.py restore [SNAPSHOT] --database NAME [--secrets-to NEW-FOLDER] [--server 'host=... user=...']

Give --fingerprint from the recovery sheet, and --passphrase-file (or --secret-key-file; --passphrase-file is then for
that key's own). Needs Python 3.9, gpg, zstd, psql, pg_restore. Exits with 0 only if all is well. (1.1): docs/format.md.
"""

import argparse
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

LIMIT, Q = 256 << 20, "'"  # bytes of what is read as a whole; the quote of texts in SQL
ENTRY = re.compile(r"# size ([0-9]+) .+\n([0-9a-f]{64})  .+\n")
PROVIDERS = {"c": "libc", "i": "icu ICU_LOCALE :'locale'", "b": "builtin BUILTIN_LOCALE :'locale'"}
SETTINGS = b"""SET search_path = pg_catalog; SET row_security = off; SET statement_timeout = 0; SET DateStyle = ISO;
SET IntervalStyle = postgres; SET lc_monetary = 'C'; SET xmloption = content; SET standard_conforming_strings = on;\n"""
encoded = partial(str.encode, encoding="utf-8", errors="surrogateescape")  # what PostgreSQL gets
say = partial(print, file=sys.stderr, flush=True)  # stdout is for what was asked for


class RestoreError(ValueError):
    """What the admin must know; nothing happens after it."""


class Reader:
    """Reads a repository with gpg, whose home is private and vanishes, and its agent when it sees that."""

    def __init__(self, options: argparse.Namespace, home: Path) -> None:
        self.root, self.home = Path(options.repository or __file__ + "/..").resolve(), home
        facts = json.loads(self.small("repository.json"))
        is_known = facts["format"] == 1 and re.fullmatch("[0-9a-f]{32}", facts["repository"])  # (1.1)
        must(is_known, f"{self.root} has a format that this program does not know; use a newer permafrost")
        self.id, key = facts["repository"], facts["signing_key"].upper()
        self.trusted = options.fingerprint.replace(" ", "").upper() or key
        must(self.trusted == key, f"this folder's signing key is {key},\nnot {self.trusted}: trust nothing in it")
        say(f"signing key: {key} (if the recovery sheet has another, trust nothing in this folder)")
        self.gpg("--no-autostart", "--import", given=self.small("signing-key.asc"))
        self.key = ["--pinentry-mode", "loopback", "--passphrase-file", options.passphrase_file or os.devnull]
        self.key += [] if options.secret_key_file else ["--no-autostart"]
        if options.secret_key_file:
            self.gpg(*self.key, "--import", given=Path(options.secret_key_file).read_bytes())

    def command(self, *words: str) -> tuple[str, ...]:
        """Return a gpg command line; what an earlier gpg found is forgotten."""
        (self.home / "status").write_bytes(b"")
        options = ("--batch", "--no-tty", "--no-options", "--quiet", "--status-file", f"{self.home}/status")
        return ("gpg", "--homedir", str(self.home), "--ignore-time-conflict", *options, *words)

    def gpg(self, *words: str, given: bytes = b"") -> list[list[str]]:
        """Run gpg, if there are words for it, and return what the last gpg found: its status lines, as words."""
        if words:
            subprocess.run(self.command(*words), input=given, capture_output=True, check=False)
        return [line.split()[1:] for line in (self.home / "status").read_text("utf-8", "replace").splitlines()]

    def path(self, name: str) -> Path:
        """Return where a file should be; names are data, and no symbolic link is followed (1.4)."""
        path = self.root / name
        is_plain = os.path.realpath(path) == str(path) and (path.is_file() or not os.path.lexists(path))
        must(is_plain, f"{name} is not a regular file, or is behind a symbolic link")
        return path

    def small(self, name: str) -> bytes:
        """Return the content of a file that is never large: a giant must not fill the memory."""
        must(self.path(name).stat().st_size <= LIMIT, f"{name} is larger than it can be")
        return self.path(name).read_bytes()

    def listed(self, snapshot: str) -> list[tuple[str, int, str]]:
        """Return name, size and hash of all that a snapshot needs, if signature and form of its list are right."""
        folder, signature = f"snapshots/{snapshot}", self.home / "signature"
        text = self.small(f"{folder}/objects.sha256")
        signature.write_bytes(self.small(f"{folder}/objects.sha256.sig"))
        found = self.gpg("--no-autostart", "--verify", str(signature), "-", given=text)
        kinds, signers = [words[0] for words in found], [words[-1] for words in found if words[0] == "VALIDSIG"]
        is_good = signers == [self.trusted] and kinds.count("NEWSIG") == kinds.count("GOODSIG") == 1  # (4.3)
        must(is_good, f"the list of {snapshot} has no good signature by the key {self.trusted}")
        first, listed = f"{folder}/manifest.gpg", enumerate(ENTRY.findall(text.decode("ascii", "replace")))
        entries = [(f"objects/{sha[:2]}/{sha}.gpg" if i else first, int(size), sha) for i, (size, sha) in listed]
        again = f"# permafrost objects 1\n# repository {self.id}\n# snapshot {snapshot}\n"
        again += "".join(f"# size {size} {name}\n{sha256}  {name}\n" for name, size, sha256 in entries)
        must(entries and text == again.encode(), f"the list of {snapshot} does not have the right form")  # (4.2)
        return entries

    def compare(self, name: str, size: int, sha256: str, *, hashed: bool = True) -> None:
        """Raise unless a file has the size and, if asked for, the hash of its list (7.3)."""
        digest, path = hashlib.sha256(), self.path(name)
        is_whole = path.stat().st_size == size
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(1 << 20) if hashed and is_whole else b"", b""):
                digest.update(chunk)
        must(is_whole and (not hashed or digest.hexdigest() == sha256), f"{name} is damaged: take it from another copy")

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
        ids = [path.name for path in (self.root / "snapshots").iterdir() if wanted in ("", "latest", path.name)]
        ids = sorted((name for name in ids if re.fullmatch(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}", name)), reverse=True)
        ids.sort(key=lambda one: one[:16] > time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + 300)))
        return {snapshot: self.state(snapshot, hashed=hashed) for snapshot in ids[: 1 if wanted == "latest" else None]}

    def manifest(self, wanted: str) -> tuple[dict[str, Any], list[tuple[str, int, str]]]:
        """Return the manifest and the other objects' entries of a snapshot: the wanted, or the newest all there."""
        for snapshot, state in self.states(wanted.replace("latest", ""), hashed=False).items():
            if state == "all there":
                break
            say(f"CAUTION: {snapshot} cannot be restored; it is {state}")
        else:
            raise RestoreError("there is no such snapshot, or none that is all there; see: restore.py list")
        first, *entries = self.listed(snapshot)  # (7.1)
        self.compare(*first)
        manifest = json.loads(self.opened(first[0]))
        ids = manifest["format"], manifest["repository"], manifest["snapshot"], manifest["signing_key"].upper()
        indices = sorted(listed["index"] for listed in manifest["objects"])
        is_its = ids == (1, self.id, snapshot, self.trusted) and indices == [*range(len(entries))]  # (7.2)
        must(is_its, f"the manifest of {snapshot} does not belong to its list")
        return manifest, entries

    @contextmanager
    def stream(self, name: str, *program: str, to_end: bool = True) -> Iterator[Any]:
        """Give what gpg | zstd -d | program makes of an object; plain text is in pipes and memory only."""
        running: list[subprocess.Popen[bytes]] = []
        source: Any = self.path(name).open("rb")
        with (self.home / "said").open("wb") as said:
            try:
                for words in filter(None, (self.command(*self.key, "--decrypt"), ("zstd", "-dqc"), program)):
                    running.append(subprocess.Popen(words, stdin=source, stdout=subprocess.PIPE, stderr=said))
                    source.close()  # else a program would not notice that the next one ended
                    source = running[-1].stdout
                yield source
                while source.read(1 << 20):
                    pass  # the padding of a tar
                ends = [started.wait() for started in running]
            finally:
                for started in running:
                    started.kill()
        counts = [sum(words[0] == kind for words in self.gpg()) for kind in ("DECRYPTION_OKAY", "GOODMDC")]
        if ends[-1] or (to_end and (any(ends) or counts != [1, 1])):  # (2.4)
            text, is_open = Path(said.name).read_text("utf-8", "replace"), "PLAINTEXT" in {w[0] for w in self.gpg()}
            failed = [("gpg", "zstd", *program)[i] for i, end in enumerate(ends) if end not in (0, -signal.SIGPIPE)]
            failed = failed[-(is_open and ends[1] in (0, -signal.SIGPIPE)) :]  # those before it could not write on
            why = f"{' and '.join(failed) or 'gpg'} failed" if is_open else "is it the right passphrase or secret key?"
            raise RestoreError(f"cannot read {name} {ends}: {why}\n{text}")

    def opened(self, name: str, *program: str, to_end: bool = True) -> bytes:
        """Return all that the stream of an object holds."""
        with self.stream(name, *program, to_end=to_end) as stream:
            must(len(content := bytes(stream.read(LIMIT + 1))) <= LIMIT, f"{name} contains more than it can")
            return content

    def files(self, names: list[str], elements: dict[tuple[int, int], Any], wanted: str) -> Iterator[tuple[Any, Any]]:
        """Yield each element with its lines, or with its wanted file (`gone` or `new`) of a delta (5.8, 5.9)."""
        bases = {index for index, member in elements if member < 0}
        for index in sorted({index for index, _ in elements} - (bases if wanted == "gone" else set())):
            with self.stream(names[index]) as stream:
                if index in bases:
                    yield elements[index, -1], stream
                    continue
                tar: Any = tarfile.open(fileobj=stream, mode="r|")  # noqa: SIM115 - it holds nothing open
                for file in iter(tar.next, None):
                    tar.members.clear()  # tarfile would keep them all
                    form: Any = re.fullmatch(r"(0|[1-9][0-9]*)\.(gone|new)", file.name)
                    must(form and file.isreg(), f"{names[index]} contains {file.name!r}, which is refused")
                    if form[2] == wanted and (index, int(form[1])) in elements:  # others are of other snapshots
                        yield elements[index, int(form[1])], tar.extractfile(file)


def logged(reader: Reader, manifest: dict[str, Any], names: list[str]) -> dict[tuple[int, int], Any]:
    """Return the elements of all segments by index and member (of a base: -1), with the gone lines (5.7, 5.9)."""
    elements: dict[tuple[int, int], Any] = {}
    kinds = {listed["index"]: listed["kind"] for listed in manifest["objects"]}
    for table in manifest["tables"]:
        columns = f"({', '.join(map(quoted, table['columns']))})" if table.get("columns") else ""
        copy = f"COPY {named(table)} {columns} FROM STDIN (ENCODING {quoted(manifest['database']['encoding'], Q)});\n"
        for segment in table.get("segments", ()):
            first, gone, (base, *rest) = 0, array("Q"), segment.get("base", [None])
            for index, member, lines in [*([(base, -1, *rest)] if rest else []), *segment["deltas"]]:
                is_new = (index, member) not in elements and kinds[index] == ("base" if member < 0 else "delta")
                must(is_new, f"the manifest is wrong about member {member} of object {index}")
                facts = {"copy": encoded(copy), "first": first, "lines": lines, "gone": gone, "read": 0, "rest": b""}
                elements[index, member] = SimpleNamespace(**facts, has_gone=False)
                first += lines
    for element, file in reader.files(names, elements, "gone"):
        last = -1
        for line in file:
            if element.has_gone or line != b"%d\n" % int(line) or not last < int(line) < element.first:
                raise RestoreError(f"{line!r} after {last} is not the number of a gone line of {element.copy!r}")
            last = int(line)
            element.gone.append(last)
        element.has_gone = True
    return elements


def rows(reader: Reader, names: list[str], elements: dict[tuple[int, int], Any]) -> Iterator[bytes]:
    """Yield a script that loads all rows; raise if an element has not as many lines as it should (5.10)."""
    yield SETTINGS
    for element, file in reader.files(names, elements, "new"):
        gone = {*element.gone}
        yield element.copy
        for part in file:
            line, element.rest = element.rest + part, b""
            if not line.endswith(b"\n"):
                element.rest = line  # continues in the next file
            elif element.first + element.read not in gone:
                yield line
            element.read += line.endswith(b"\n")
        yield b"\\.\n"
    for key, element in elements.items():
        is_whole = not element.rest and element.read == element.lines
        must(is_whole, f"(object, member) {key} has {element.read} lines, not {element.lines}")


def must(claim: object, otherwise: str) -> None:
    """Raise unless a claim is true."""
    if not claim:
        raise RestoreError(otherwise)


def quoted(name: str, mark: str = '"') -> str:
    """Return a name as SQL has it."""
    return mark + name.replace(mark, mark + mark) + mark


def named(facts: dict[str, Any]) -> str:
    """Return the full name of a table or sequence, as SQL has it."""
    return ".".join(quoted(facts[key]) for key in ("schema", "namespace", "name") if key in facts)


def psql(conninfo: str, script: Iterable[bytes], **values: object) -> list[str]:
    """Run a script, in which :"name" and :'name' stand for values, quoted by psql; return the lines of its answer."""
    words = ["psql", "-XqAtw", "-vON_ERROR_STOP=1", "-d", conninfo, *(f"-v{key}={values[key]}" for key in values)]
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as said:
        program: Any = subprocess.Popen([*map(encoded, words)], stdin=subprocess.PIPE, stdout=answer, stderr=said)
        try:
            with suppress(BrokenPipeError):  # psql says why it ended
                program.stdin.writelines(script)
            program.communicate()
        finally:
            program.kill()  # before its input ends: half a COPY must not look like a whole one
        texts = [(file.seek(0), file.read().decode("utf-8", "surrogateescape"))[1] for file in (answer, said)]
    must(not program.returncode, f"psql failed: {texts[1].strip()}")
    return texts[0].split("\n")[:-1]


def create(server: str, name: str, facts: dict[str, Any]) -> None:
    """Make an empty database as the old one was (5.1); raise, before that, if it is there or roles are not."""
    there = psql(server, [b"SELECT rolname FROM pg_roles"])
    if absent := sorted({facts["owner"], *(role["name"] for role in facts.get("roles", ()))} - {*there}):
        commands = "".join(f"\n  CREATE ROLE {quoted(role)} LOGIN;" for role in absent)
        raise RestoreError(f"the server lacks roles; nothing was touched. Run this in psql, and try again:{commands}")
    script = """CREATE DATABASE :"name" TEMPLATE template0 OWNER :"owner" ENCODING :'encoding' LC_COLLATE :'collate'
        LC_CTYPE :'ctype'"""
    if int(psql(server, [b"SHOW server_version_num"])[0]) >= 150000:
        script += " LOCALE_PROVIDER " + PROVIDERS[facts["locale_provider"]]
        script += " ICU_RULES :'icu_rules'" if "icu_rules" in facts else ""
    psql(server, [script.encode()], **{**facts, "name": name})


def restore(reader: Reader, options: argparse.Namespace) -> None:
    """Restore a snapshot into a new database that then has as many rows as were backed up, and its secrets."""
    name = options.database
    server, new = (f"{options.server} dbname='{wanted}'" for wanted in ("postgres", re.sub(r"([\\'])", r"\\\1", name)))
    manifest, entries = reader.manifest(options.snapshot)
    for entry in entries:
        reader.compare(*entry)  # (7.3)
    objects = {listed["kind"]: entries[listed["index"]][0] for listed in manifest["objects"]}
    say(f"snapshot {manifest['snapshot']} is whole and signed, and contains: {', '.join(objects)}")
    must(manifest["engine"] in ("dump", "log"), "this program does not know its engine; use a newer permafrost")
    os.environ["PGCLIENTENCODING"] = "SQL_ASCII" if manifest["database"]["encoding"] == "SQL_ASCII" else "UTF8"
    if os.environ["PGCLIENTENCODING"] == "SQL_ASCII":  # (5.10)
        names = {key: manifest.get(key, []) for key in ("database", "tables", "sequences")}
        text = json.dumps(names, ensure_ascii=False).encode("latin-1")
        manifest.update(json.loads(text.decode("utf-8", "surrogateescape")))
    files = [entry[0] for entry in entries]
    elements = logged(reader, manifest, files)
    if options.secrets_to and "secrets" in objects:
        unpack(reader.opened(objects["secrets"]), Path(options.secrets_to))
    create(server, name, manifest["database"])
    load, lacking = (objects["frame"], "pg_restore", "--no-password", "--dbname", new, "--no-tablespaces"), ""
    try:
        reader.opened(*load, "--exit-on-error", "--section=pre-data", to_end=False)
        psql(new, rows(reader, files, elements))
        reader.opened(*load, "--exit-on-error", "--section=data", to_end=manifest["engine"] == "dump")
        script = [SETTINGS]
        for listed in manifest.get("sequences", ()):
            values = f"{quoted(named(listed), Q)}, {int(listed['last_value'])}, {bool(listed['is_called'])}"
            script.append(encoded(f"SELECT setval({values});\n"))
        psql(new, [*script, b"ANALYZE"])  # without it materialized views, which come last, can take days
        try:  # an index that the rows do not fit, since another one hid them, must not keep the rows back
            reader.opened(*load, "--section=post-data", to_end=False)
        except RestoreError as error:
            lacking = f"{name} has all its rows, and is NOT WHOLE; run again by hand what has failed here: {error}"
        script = [SETTINGS]
        for listed in manifest["tables"]:
            counted = f"(SELECT count(*) FROM ONLY {named(listed)}) <> {int(listed['rows'])}"  # noqa: S608 - quoted
            script.append(encoded(f"SELECT {quoted(listed['name'], Q)} WHERE {counted};\n"))
        must(not (odd := psql(new, script)), f"these tables do not have the rows that were backed up: {', '.join(odd)}")
    except BaseException:
        say(f"""The database {name} is HALF MADE. Drop it:  psql -d "{server}" -c 'DROP DATABASE {quoted(name)}'""")
        raise
    must(not lacking, lacking)
    say(f"{name} is restored: {len(manifest['tables'])} tables with as many rows as were backed up")
    say("Tablespaces, grants on the database, settings (ALTER DATABASE) were not restored; see: restore.py manifest")


def unpack(archive: bytes, folder: Path) -> None:
    """Write the secrets into a new folder, with modes and, as root, owners; raise on a wrong name (5.5)."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar.getmembers():
            is_safe = member.isfile() and member.name[:1] != "/" and ".." not in member.name.split("/")
            must(is_safe, f"the secrets contain {member.name!r}, which is refused")
        folder.mkdir(mode=0o700)
        tar.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
        tar.extractall(folder)  # noqa: S202 - its names were looked at


def held(folder: Path) -> IO[bytes]:
    """Return the locked file in a folder that nobody else can enter; raise if it is none, or its maker lives."""
    must((folder.lstat().st_mode, folder.lstat().st_uid) == (0o40700, os.geteuid()), f"{folder} is not private")
    fcntl.flock(lock := (folder / ".permafrost-lock").open("ab"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Yield a private folder, in memory if possible; those that killed readers left, with keys in them, are removed."""
    place = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())  # noqa: S108
    for left in place.glob("permafrost-reader-*"):
        with suppress(OSError, RestoreError), held(left):
            shutil.rmtree(left)
    lock: Any = None
    while not lock or not os.fstat(lock.fileno()).st_nlink:  # until it is locked, another process may remove it
        home = Path(tempfile.mkdtemp(prefix="permafrost-reader-", dir=place))
        with suppress(BlockingIOError, FileNotFoundError):
            lock = held(home)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("list", "check", "manifest", "restore"))
    parser.add_argument("snapshot", nargs="?", default="")
    for name in ("passphrase-file", "secret-key-file", "secrets-to", "fingerprint", "database", "server", "repository"):
        parser.add_argument(f"--{name}", default="")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with temporary_home() as home:
            tempfile.tempdir = str(home)
            reader = Reader(options, home)
            if options.action == "restore":
                restore(reader, options)
            elif options.action == "manifest":
                print(json.dumps(reader.manifest(options.snapshot)[0], indent=2))
            else:
                states = reader.states(options.snapshot, hashed=options.action == "check")
                print("\n".join(f"{snapshot}  {state}" for snapshot, state in states.items()) or "no such snapshot")
                sys.exit(not states or not {*states.values()} <= {"whole", "all there"})
    except (KeyboardInterrupt, OSError, LookupError, TypeError, ValueError, RuntimeError, tarfile.TarError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
