"""SeaweedFS on loopback: a real object store with versions, object lock, and identities with few rights.

Tests and the demo start it; `end` leaves nothing running.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import boto3
import httpx
from botocore.config import Config

from permafrost.processes.daemon import Daemon
from permafrost.processes.program import Program

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

WEED = Path(sys.executable).with_name("weed")  # its wheel puts the program beside this environment's interpreter
REGION = "us-east-1"
_UP_S, _LOOK_S, _ENDS_WITHIN_S = 90.0, 0.05, 2.0
_ATTEMPTS = 3
_PORTS = ("master.port", "volume.port", "filer.port", "s3.port")
_RIGHTS = {
    "admin": ("Admin", "Read", "Write", "List", "Tagging"),
    "writer": ("Write", "PutObjectRetention"),
    "reader": ("Read", "List"),
    "stranger": ("Read:elsewhere",),
    "anonymous": ("Read:open-media",),  # whoever has no key, in one bucket
}
OPEN_BUCKET = "open-media"
"""What is in it can be read by everyone, and not listed."""


@dataclass(frozen=True)
class Keys:
    """An identity's access key."""

    access_key: str
    secret_key: str

    def write(self, file: Path) -> Path:
        """Write them to a file with mode 0600, as permafrost wants them, and return it."""
        file.touch(0o600)
        file.write_text(f"{self.access_key}:{self.secret_key}\n")
        return file


def _new_keys() -> Keys:
    return Keys(f"AK{secrets.token_hex(9).upper()}", secrets.token_hex(20))


@dataclass
class ObjectStore:
    """An SeaweedFS whose files lie in `folder`. Runs as long as its block."""

    folder: Path
    keys: Mapping[str, Keys] = field(default_factory=lambda: {name: _new_keys() for name in _RIGHTS})
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to that of the program."""
    _daemon: Daemon | None = None
    _ports: Mapping[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def port(self) -> int:
        """Where S3 is spoken, on 127.0.0.1."""
        return self._ports["s3.port"]

    @property
    def endpoint(self) -> str:
        """The URL of S3."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin(self) -> Keys:
        """May do everything."""
        return self.keys["admin"]

    @property
    def writer(self) -> Keys:
        """May put objects and renew their locks, and may neither read nor list. It may hide what is not locked."""
        return self.keys["writer"]

    @property
    def reader(self) -> Keys:
        """May read and list."""
        return self.keys["reader"]

    @property
    def stranger(self) -> Keys:
        """Is known, and may do nothing in any bucket of the tests: like a key that was revoked."""
        return self.keys["stranger"]

    def start(self) -> None:
        """Start it, on the ports that it had before, if it ran before; return once S3 answers.

        A port that was free may be another program's before SeaweedFS listens on it: then others are tried.
        """
        attempts = 1 if self._ports else _ATTEMPTS
        for attempt in range(1, attempts + 1):
            if attempts > 1:
                names = [*_PORTS, *(f"{name}.grpc" for name in _PORTS)]
                self._ports = dict(zip(names, _free_ports(len(names)), strict=True))
            try:
                self._start()
            except RuntimeError:
                if attempt == attempts:
                    raise
            else:
                return

    def _start(self) -> None:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        identities = self.folder / "identities.json"
        identities.touch(0o600)
        identities.write_text(json.dumps({"identities": [self._identity(name) for name in _RIGHTS]}))
        program = Program(
            (
                str(WEED),
                "server",
                f"-dir={data}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-master.peers=none",  # no election, which takes seconds
                "-master.telemetry=false",
                "-master.volumeSizeLimitMB=64",
                "-volume.max=4000",  # each bucket takes some
                "-volume.preStopSeconds=0",
                "-filer",
                "-s3",
                "-s3.iam=false",
                "-s3.port.iceberg=0",  # these two have ports of their own, which a second instance would find taken
                "-s3.port.lance=0",
                f"-s3.config={identities}",
                *(f"-{name}={port}" for name, port in self._ports.items()),
            ),
            {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1", **self.environment},  # not seven volumes for each bucket
        )
        self._daemon = Daemon(program, self.folder / "log", folder=self.folder)
        deadline = time.monotonic() + _UP_S
        while not self._answers():
            if self._daemon.returncode() is not None or time.monotonic() > deadline:
                said = (self.folder / "log").read_text(errors="replace")[-2000:]
                self.end()
                raise RuntimeError(f"SeaweedFS does not answer: {said}")
            time.sleep(_LOOK_S)

    def end(self) -> None:
        """End it; what it holds stays."""
        if self._daemon is not None:
            self._daemon.end(_ENDS_WITHIN_S)
            self._daemon = None
            for port in self._ports.values():
                for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - where it puts them
                    left.unlink(missing_ok=True)

    def client(self, keys: Keys | None = None, *, endpoint: str | None = None) -> S3Client:
        """Return a client of boto3's, with all rights if no keys are given."""
        keys = keys or self.admin
        client: S3Client = boto3.client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            region_name=REGION,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )
        return client

    def new_bucket(self, *, is_locked: bool = True) -> str:
        """Return the name of a new bucket: with versions and object lock, or with neither."""
        name = f"bucket-{secrets.token_hex(5)}"
        self.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=is_locked)
        return name

    def _identity(self, name: str) -> Mapping[str, object]:
        keys = self.keys[name]
        credentials = [{"accessKey": keys.access_key, "secretKey": keys.secret_key}] if name != "anonymous" else []
        return {"name": name, "credentials": credentials, "actions": list(_RIGHTS[name])}

    def _answers(self) -> bool:
        with suppress(httpx.HTTPError):
            probe = f"ready-{os.getpid()}"
            if httpx.get(f"{self.endpoint}/status", timeout=2).status_code != 200:
                return False
            self.client().create_bucket(Bucket=probe)
            self.client().put_object(Bucket=probe, Key="probe", Body=b"x")  # S3 answers before volumes can be written
            self.client().delete_object(Bucket=probe, Key="probe")
            self.client().delete_bucket(Bucket=probe)
            return True
        return False


def _free_ports(count: int) -> list[int]:
    """Return ports on loopback that nobody listens on."""
    with ExitStack() as opened:
        probes = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(probe.getsockname()[1]) for probe in probes]
