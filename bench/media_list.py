"""python -m bench.media_list: what the media list costs with a million rows, on the server and on a vault.

A database with that many local attachments is backed up by two configurations, one with [media] and one without: whole,
after an hour that adds 1,000 rows, changes 500 and deletes 100, and with nothing changed. Then a vault that holds every
file takes the list in, whole and grown by that hour, in a process of its own. Nothing is written into docs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from bench.data import DATABASE
from bench.memory import PeakMemory
from bench.programs import Told, permafrost, temporary_folder
from permafrost.amounts import bytes_text, seconds_text
from permafrost.openpgp.home import temporary_home
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.repository.media_list import MEDIA_LIST
from permafrost.repository.reading import make_verifier
from permafrost.repository.repository import Repository
from permafrost.vault.arrivals import Records
from permafrost.vault.media.needed import MediaBalance, NeededMedia
from permafrost.vault.media.versions import MediaVersions
from permafrost.vault_keeping.media.list_intake import ListIntake
from samples.database import create_database, load
from samples.media import id_partition

_FIRST_ID = 117_000_000_000_000_000
_NAME = "lpad(to_hex(n), 16, '0')"
_INSERT = f"""
INSERT INTO media_attachments (id, status_id, file_file_name, file_content_type, file_file_size, file_updated_at,
    remote_url, created_at, updated_at, shortcode, type, file_meta, account_id, processing)
SELECT {_FIRST_ID} + n * 65536, NULL, {_NAME} || '.png', 'image/png', 1000 + mod(n, 100000), now(), '', now(), now(),
    NULL, 0, '{{}}', (SELECT min(id) FROM accounts WHERE domain IS NULL), 2
FROM generate_series(%s::bigint, %s::bigint) AS n
"""  # noqa: S608 - constants of this module
_HOUR = (1000, 500, 100)
_UNCHANGED_RUNS = 7


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.media_list", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="local attachments; default 1,000,000")
    parser.add_argument(
        "--take", nargs=3, type=Path, metavar=("RECEIVED", "RECORDS", "REPOSITORY"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.take:
        print(json.dumps(_take_in(*options.take)))
        return 0
    with temporary_folder() as folder:
        with ScratchCluster(folder / "postgresql", durable=True) as cluster:
            _on_the_server(cluster, folder, options.rows)
        _on_the_vault(folder, options.rows)
    return 0


def _on_the_server(cluster: ScratchCluster, folder: Path, rows: int) -> None:
    create_database(cluster.conninfo("postgres"), DATABASE)
    conninfo = cluster.conninfo(DATABASE)
    with psycopg.connect(conninfo) as connection:
        load(connection, accounts=200, statuses=400)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(_INSERT.encode(), (1, rows))
        connection.execute("VACUUM ANALYZE")
        configs = {name: _configured(folder / name, conninfo, has_media=name == "with") for name in ("with", "without")}
        _backed_up("whole", configs, folder)
        shutil.copytree(folder / "with" / "repository" / MEDIA_LIST, folder / "whole" / MEDIA_LIST)
        for number in range(3):
            new, changed, gone = _HOUR
            first = rows + 1 + number * new
            connection.execute(_INSERT.encode(), (first, first + new - 1))
            for statement, count in (
                ("UPDATE media_attachments SET file_file_size = file_file_size + 1", changed),
                ("DELETE FROM media_attachments", gone),
            ):
                # constants of this module
                chosen = f"SELECT id FROM media_attachments WHERE id >= {_FIRST_ID} ORDER BY random() LIMIT {count}"  # noqa: S608
                connection.execute(f"{statement} WHERE id IN ({chosen})".encode())
            _backed_up("an hour", configs, folder)
        for _ in range(_UNCHANGED_RUNS):
            _backed_up("unchanged", configs, folder)
    for kind, runs in _TAKEN.items():
        medians = {name: statistics.median(took for took, _ in taken) for name, taken in runs.items()}
        least = {name: min(took for took, _ in taken) for name, taken in runs.items()}
        peaks = {name: max(peak for _, peak in taken) for name, taken in runs.items()}
        print(
            f"{kind}: {medians['with']:.2f} s with the list, {medians['without']:.2f} s without, at least "
            f"{least['with']:.2f} and {least['without']:.2f}; "
            f"at most {bytes_text(peaks['with'])} and {bytes_text(peaks['without'])} of memory"
        )


_TAKEN: dict[str, dict[str, list[tuple[float, int]]]] = {}


def _configured(folder: Path, conninfo: str, *, has_media: bool) -> Path:
    folder.mkdir()
    (folder / "media").mkdir()
    config = folder / "permafrost.toml"
    places = (f"--repository={folder / 'repository'}", f"--state={folder / 'state'}")
    media = (f"--media={folder / 'media'}",) if has_media else ()
    permafrost("init", f"--config={config}", f"--database={conninfo}", "--name=bench", *places, *media)
    return config


def _backed_up(kind: str, configs: Mapping[str, Path], folder: Path) -> None:
    listed = folder / "with" / "repository" / MEDIA_LIST
    before = {file.name for file in listed.iterdir()} if listed.is_dir() else set()
    order = list(configs)
    if len(_TAKEN.get(kind, {}).get("with", ())) % 2:
        order.reverse()
    for name in order:
        began = time.monotonic()
        told: Told = permafrost("backup", f"--config={configs[name]}", "--json")
        took = time.monotonic() - began
        _TAKEN.setdefault(kind, {}).setdefault(name, []).append((took, told.peak_bytes))
    new = sum(file.stat().st_size for file in listed.iterdir() if file.name not in before)
    print(f"{kind}: {bytes_text(new)} of new parts", flush=True)


def _on_the_vault(folder: Path, rows: int) -> None:
    """Let a vault take in the whole list, then the one that has grown by the hours."""
    repository = Repository.open(folder / "with" / "repository")
    records = folder / "keeping.sqlite"
    with closing(Records(records)) as kept:
        versions, now = MediaVersions(kept.database, repository.repository_id), datetime.now(UTC)
        NeededMedia(kept.database)
        with kept.together():
            for number in range(1, rows + 1):
                below = f"media_attachments/files/{id_partition(_FIRST_ID + number * 65536)}"
                for style in ("original", "small"):
                    path = f"{below}/{style}/{number:016x}.png".encode()
                    versions.add(path, b"media/" + path, number, 1000 + number % 100_000, now)
    print(f"the vault's records of {2 * rows} files: {bytes_text(records.stat().st_size)}")
    for place in (folder / "whole", folder / "with" / "repository"):
        words = (sys.executable, "-m", "bench.media_list", "--take", str(place), str(records), str(repository.path))
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
            memory = PeakMemory(running.pid)
            said = running.communicate()[0]
            memory.stop()
        took = json.loads(said)
        print(
            f"the vault takes {place.name} in: {seconds_text(took['intake_s'])}, compares in "
            f"{seconds_text(took['balance_s'])}, at most {bytes_text(memory.peak_bytes)} of memory: "
            f"{took['held']} of {took['needed']} held; records {bytes_text(records.stat().st_size)}"
        )


def _take_in(received: Path, records: Path, server: Path) -> Mapping[str, float]:
    repository = Repository.open(server)
    with closing(Records(records)) as kept, temporary_home() as home:
        needed = NeededMedia(kept.database)
        versions = MediaVersions(kept.database, repository.repository_id)
        verifier = make_verifier(repository, None, home)
        while not versions.mask(10_000):
            pass
        found: list[object] = []
        intake = ListIntake(
            *(received, kept, needed, verifier, repository.repository_id, lambda *words: found.append(words)),
            has_room=lambda: True,
        )
        now, began = datetime.now(UTC), time.monotonic()
        intake.work(now, began + 3600)
        took = time.monotonic() - began
        began = time.monotonic()
        balance = _compared(needed, now)
        return {
            "intake_s": took,
            "balance_s": time.monotonic() - began,
            "needed": balance.needed,
            "held": balance.held,
            "found": len(found),
        }


def _compared(needed: NeededMedia, now: datetime) -> MediaBalance:
    steps = needed.compare(now)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            balance: MediaBalance = end.value.balance
            return balance


if __name__ == "__main__":
    sys.exit(main())
