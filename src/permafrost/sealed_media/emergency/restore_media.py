#!/usr/bin/env python3
# Part of permafrost. Licence: GNU Affero General Public License, version 3 or later (AGPL-3.0-or-later).
"""Restores the media of a Mastodon server from the sealed store that contains this file.

  restore_media.py check                   compares every object with its name, and with the list
  restore_media.py list                    prints size and path of every file
  restore_media.py restore --to FOLDER     restores every file that is not there yet, and compares it with its hash

Give --fingerprint from the recovery sheet, and --passphrase-file (or --secret-key-file; --passphrase-file is then for
that key's own). --index takes another version of sealed-media.json: a vault keeps old ones in media-replaced/TIME/.
Needs Python 3.9, gpg, zstd. Exits with 0 only if all is well. (10.1): docs/format.md.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote_to_bytes

LIMIT = 1 << 26  # bytes of what is read as a whole
LINE = re.compile(rb"([0-9a-f]{64})\t([0-9]+)\t([0-9]+)\t([0-9a-f]{64})\t([0-7]{1,4})\t(-?[0-9]+)\t([ -~]+)\n")
GONE = re.compile(rb"-\t([ -~]+)\n")
LISTED = re.compile(rb"([0-9a-f]{64})(?:\t([0-9]+))?\n")
say = partial(print, file=sys.stderr, flush=True)  # stdout is for what was asked for


class RestoreError(ValueError):
    """What the admin must know."""


def must(claim: object, otherwise: str) -> None:
    """Raise unless the claim holds."""
    if not claim:
        raise RestoreError(otherwise)


class Store:
    """Reads a store with gpg, whose home is private and vanishes, and its agent when it sees that."""

    def __init__(self, options: argparse.Namespace, home: Path) -> None:
        self.root, self.home = Path(options.store or __file__ + "/..").resolve(), home
        self.gpg("--no-autostart", "--import", given=self.small("signing-key.asc"))
        signed = json.loads(Path(options.index).read_bytes() if options.index else self.small("sealed-media.json"))
        signature = home / "signature"
        signature.write_text(signed["signature"])
        found = self.gpg("--no-autostart", "--verify", str(signature), "-", given=signed["content"].encode())
        kinds, signers = [words[0] for words in found], [words[-1] for words in found if words[0] == "VALIDSIG"]
        trusted = options.fingerprint.replace(" ", "").upper() or "".join(signers[:1])
        is_good = signers == [trusted] and kinds.count("NEWSIG") == kinds.count("GOODSIG") == 1  # (4.3)
        must(is_good, f"the index has no good signature by the key {trusted}: trust nothing in this folder")
        say(f"signing key: {trusted} (if the recovery sheet has another, trust nothing in this folder)")
        self.index = json.loads(signed["content"])
        must(self.index["format"] == 1, "the index has a format that this program does not know")
        say(f"{self.index['rows']} objects, sealed {self.index['made_at']}, of repository {self.index['repository']}")
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
        must(os.path.realpath(path) == str(path) and path.is_file(), f"{name} is missing, or not a regular file")
        return path

    def small(self, name: str) -> bytes:
        """Return the content of a file that is never large: a giant must not fill the memory."""
        must(self.path(name).stat().st_size <= LIMIT, f"{name} is larger than it can be")
        return self.path(name).read_bytes()

    def compare(self, name: str, sha256: str, size: int | None = None) -> Path:
        """Return the file, whose bytes come to that hash; raise if they do not."""
        digest, path = hashlib.sha256(), self.path(name)
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                digest.update(chunk)
        is_whole = digest.hexdigest() == sha256 and size in (None, path.stat().st_size)
        must(is_whole, f"{name} is damaged: copy it from another copy of the store")
        return path

    @contextmanager
    def opened(self, name: str, *program: str) -> Iterator[Any]:
        """Give what an object holds, through a program, once its bytes are those of its name; raise if gpg fails."""
        source: Any = self.compare(f"objects/{name[:2]}/{name}.gpg", name).open("rb")
        running: list[subprocess.Popen[bytes]] = []
        with (self.home / "said").open("wb") as said:
            try:
                for words in filter(None, (self.command(*self.key, "--decrypt"), program)):
                    running.append(subprocess.Popen(words, stdin=source, stdout=subprocess.PIPE, stderr=said))
                    source.close()  # else a program would not notice that the next one ended
                    source = running[-1].stdout
                yield source
                while source.read(1 << 20):
                    pass  # the padding
                ends = [started.wait() for started in running]
            finally:
                for started in running:
                    started.kill()
        counts = [sum(words[0] == kind for words in self.gpg()) for kind in ("DECRYPTION_OKAY", "GOODMDC")]
        if any(ends) or counts != [1, 1]:  # (2.4)
            why = "" if counts[0] else ": is it the right passphrase or secret key?"
            raise RestoreError(f"cannot read {name} {ends}{why}\n{Path(said.name).read_text('utf-8', 'replace')}")

    def catalog(self) -> sqlite3.Connection:
        """Return a table of all files, on the disk and without a name; a later line counts (10.5)."""
        table = sqlite3.connect("")
        table.execute("CREATE TABLE files (path PRIMARY KEY, object, offset, size, sha256, mode, mtime_ns)")
        for part in self.index["catalog"]:
            with self.opened(part["name"], "zstd", "-dqc") as lines:
                for line in lines:
                    if gone := GONE.fullmatch(line):
                        table.execute("DELETE FROM files WHERE path = ?", (unquote_to_bytes(gone[1]),))
                        continue
                    found = LINE.fullmatch(line)
                    must(found, f"the catalog has a line that is none: {line[:100]!r}")
                    name, offset, size, sha256, mode, mtime_ns, quoted = found.groups() if found else ()
                    path = unquote_to_bytes(quoted)
                    is_below = b"\0" not in path and not {b"", b".", b".."} & {*path.split(b"/")}
                    must(is_below, f"the catalog names {path!r}, which is refused")
                    values = (path, name.decode(), int(offset), int(size), sha256.decode(), int(mode, 8), int(mtime_ns))
                    table.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        table.execute("CREATE INDEX by_object ON files (object, offset)")
        return table

    def listed(self) -> dict[str, int]:
        """Return the objects that there must be, with their sizes, as the list says that needs no key (10.3)."""
        objects: dict[str, int] = {}
        for part in self.index["parts"]:
            file = self.compare(f"list/{part['name']}.zst", part["name"], part["size_bytes"])
            unpacked = subprocess.run(("zstd", "-dqc", str(file)), capture_output=True, check=True).stdout
            for line in unpacked.splitlines(keepends=True):
                found = LISTED.fullmatch(line)
                must(found, f"the list has a line that is none: {line[:100]!r}")
                name, size = found.groups() if found else (b"", None)
                objects.pop(name.decode(), None)
                if size is not None:
                    objects[name.decode()] = int(size)
        return objects


def check(store: Store) -> int:
    """Compare every object that there must be; return how many are missing or damaged."""
    bad = 0
    for name, size in store.listed().items():
        try:
            store.compare(f"objects/{name[:2]}/{name}.gpg", name, size)
        except (RestoreError, OSError) as error:
            say(f"CAUTION: {error}")
            bad += 1
    return bad


def restore(store: Store, target: Path) -> int:
    """Restore every file that is not there; return how many could not be, which are named."""
    table, bad = store.catalog(), 0
    for (name,) in table.execute("SELECT DISTINCT object FROM files ORDER BY object").fetchall():
        rows = table.execute("SELECT * FROM files WHERE object = ? ORDER BY offset, size", (name,)).fetchall()
        left = [row for row in rows if not is_there(target / os.fsdecode(row[0]), row[3], row[6])]
        done = 0
        if not left:
            continue
        try:
            with store.opened(name) as stream:
                place, before = 0, (-1, b"")  # equal files have one place; the last one's bytes are kept for that
                for path, _, offset, size, *facts in left:
                    while place < offset and (skipped := stream.read(min(offset - place, 1 << 20))):
                        place += len(skipped)
                    again = before[1] if before[0] == offset and len(before[1]) == size else None
                    bad += not write(target / os.fsdecode(path), stream, again, (size, *facts))
                    place, done = max(place, offset + size), done + 1
                    if again is None:
                        small = size <= LIMIT and (target / os.fsdecode(path)).is_file()
                        before = (offset, (target / os.fsdecode(path)).read_bytes() if small else b"")
        except (RestoreError, OSError) as error:
            bad += len(left) - done
            say(f"CAUTION: {len(left) - done} files of an object are not restored, such as {left[-1][0]!r}: {error}")
    return bad


def is_there(path: Path, size: int, mtime_ns: int) -> bool:
    """Return whether the file was restored by an earlier run."""
    with suppress(OSError):
        status = path.lstat()
        return path.is_file() and (status.st_size, status.st_mtime_ns) == (size, mtime_ns)
    return False


def write(path: Path, stream: IO[bytes], again: bytes | None, facts: tuple[Any, ...]) -> bool:
    """Write a file from the stream, or with the same bytes as before; return whether they are right."""
    (size, sha256, mode, mtime_ns), digest = facts, hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(".permafrost-media")
    with unfinished.open("wb") as file:
        left = size
        while left and (chunk := stream.read(min(left, 1 << 20)) if again is None else again[size - left :]):
            digest.update(chunk)
            file.write(chunk)
            left -= len(chunk)
    if digest.hexdigest() != sha256:
        unfinished.unlink()
        say(f"CAUTION: {path} is not restored: its bytes are not what the catalog says")
        return False
    unfinished.chmod(mode & 0o666)
    os.utime(unfinished, ns=(mtime_ns, mtime_ns))
    unfinished.replace(path)
    return True


def held(folder: Path) -> IO[bytes]:
    """Return the locked file in a folder that nobody else can enter; OSError if it is none, or its maker lives."""
    if (folder.lstat().st_mode, folder.lstat().st_uid) != (0o40700, os.geteuid()):
        raise PermissionError(folder)
    fcntl.flock(lock := (folder / ".permafrost-lock").open("ab"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Yield a private folder, in memory if possible; those that killed readers left, with keys in them, are removed."""
    place = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())  # noqa: S108
    for left in place.glob("permafrost-reader-*"):
        with suppress(OSError), held(left):
            shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix="permafrost-reader-", dir=place) as home, held(Path(home)):
        yield Path(home)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("check", "list", "restore"))
    for name in ("to", "store", "index", "passphrase-file", "secret-key-file", "fingerprint"):
        parser.add_argument(f"--{name}", default="")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with temporary_home() as home:
            store = Store(options, home)
            if options.action == "check":
                bad = check(store)
                sys.exit(f"{bad} objects are missing or damaged" if bad else 0)
            if options.action == "list":
                for path, size in store.catalog().execute("SELECT path, size FROM files ORDER BY path"):
                    print(size, os.fsdecode(path))
                return
            must(options.to, "restore needs --to FOLDER")
            bad = restore(store, Path(options.to))
            must(not bad, f"{bad} files could not be restored")
            say(f"all files are in {options.to}")
    except (KeyboardInterrupt, OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
