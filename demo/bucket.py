"""The bucket in the story: it is filled, plundered with every key that there is, and gives everything back."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.account import Account
from demo.machine import DemoError, Machine
from samples.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class Cellar:
    """A bucket of a real object store."""

    store: ObjectStore
    bucket: str


@contextmanager
def cellar_of(account: Account, server: Machine, folder: Path, temporary: Path) -> Iterator[Cellar]:
    """Yield a bucket that the server's configuration names and that keeps what permafrost relies on."""
    folder.mkdir()
    account.say("an object store, SeaweedFS, with a bucket that keeps versions and locks")
    with ObjectStore(folder, environment={"TMPDIR": str(temporary)}) as store:
        cellar = Cellar(store, store.new_bucket())
        _configure(account, server, cellar)
        server.permafrost("bucket", "check", "cellar")
        yield cellar


def fill_and_plunder(account: Account, server: Machine, cellar: Cellar) -> str:
    """Upload everything, delete what can be deleted, and return the repository's address."""
    began = time.monotonic()
    printed = server.permafrost("bucket", "upload", "cellar")
    account.figure("upload to the bucket", time.monotonic() - began, "each file locked for 30 days")
    _plunder(account, cellar)
    return _address_in(printed)


def fetch_from(account: Account, new: Machine, cellar: Cellar, address: str, fingerprint: str) -> None:
    """Fetch the newest snapshot from the bucket with a key that may read, and verify it."""
    cellar.store.reader.write(new.folder / "reading-key")
    trusted = ("--fingerprint", fingerprint)
    began = time.monotonic()
    new.permafrost("bucket", "fetch", address, "from-bucket", "--credentials", "reading-key", *trusted)
    account.figure("fetch from the plundered bucket", time.monotonic() - began, "from hidden versions")
    new.permafrost("verify", "--repository", "from-bucket", *trusted)


def _configure(account: Account, server: Machine, cellar: Cellar) -> None:
    """Write [[buckets]] as an admin would, with a key that may only write."""
    store = cellar.store
    store.writer.write(server.folder / "cellar-key")
    store.reader.write(server.folder / "cellar-reading-key")
    lines = (
        "[[buckets]]",
        'name = "cellar"',
        f'bucket = "{cellar.bucket}"',
        f'endpoint = "{store.endpoint}"',
        f'credentials_file = "{server.folder}/cellar-key"',
        f'read_credentials_file = "{server.folder}/cellar-reading-key"',
    )
    account.typed(server.name, ("editor", "permafrost.toml"))
    for line in lines:
        account.said(line)
    file = server.folder / "permafrost.toml"
    file.write_text("\n".join((file.read_text(), *lines, "")))


def _address_in(printed: list[str]) -> str:
    found = re.search(r"--repository '(s3://[^']+)'", "\n".join(printed))
    if found is None:
        raise DemoError("permafrost bucket upload printed no address")
    return found[1]


def _plunder(account: Account, cellar: Cellar) -> None:
    """Delete everything in the bucket, with the owner's own key: first as most programs do, then each version."""
    owner, bucket, refused = cellar.store.client(), cellar.bucket, 0
    versions = owner.list_object_versions(Bucket=bucket)["Versions"]
    for version in versions:
        owner.delete_object(Bucket=bucket, Key=version["Key"])
        try:
            owner.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
        except owner.exceptions.ClientError:
            refused += 1
    listed = len(owner.list_objects_v2(Bucket=bucket).get("Contents", ()))
    account.say(f"with the owner's key: {len(versions)} files deleted, a listing shows {listed};")
    account.say(f"but {refused} locked versions could not be removed")
    if refused < len(versions) - 1 or listed:  # what `bucket check` left there is locked for minutes, or not at all
        raise DemoError("the bucket did not keep what it had locked")
