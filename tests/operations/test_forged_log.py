"""A log snapshot whose manifest lies, although it is sealed and signed by the right keys: refused, nothing left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import zstandard

from permafrost.errors import IntegrityError
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.sealing import OpeningKey, PassphraseSealing, open_bytes
from permafrost.openpgp.signing import sign_detached
from permafrost.postgres.connection import conninfo_for
from permafrost.repository.layout import SnapshotId
from permafrost.repository.object_list import ObjectList
from permafrost.repository.objects import StoredObject
from permafrost.repository.sealed import seal_bytes
from permafrost.repository.snapshots import publish_snapshot, read_object_list, read_sealed_manifest
from tests.fixtures.server import MakeServer, Server
from tests.operations.test_backup_restore import make_backup, make_restore

Json = dict[str, Any]


def forge(
    server: Server, genuine: SnapshotId, change: Callable[[Json], None], more: Sequence[StoredObject] = ()
) -> SnapshotId:
    """Publish a copy of a snapshot with a changed manifest and more objects, sealed and signed as the server would."""
    layout = server.repository.layout
    object_list, _, _ = read_object_list(layout, genuine)
    forged = SnapshotId.new(datetime.now(UTC), genuine)
    with temporary_home() as home:
        key, sealing = OpeningKey(server.passphrase_file), PassphraseSealing(server.passphrase_file)
        opened = open_bytes(home, key, [read_sealed_manifest(layout, object_list)], limit_bytes=1 << 24)
        manifest = json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(opened))
        manifest["snapshot"] = str(forged)
        change(manifest)
        sealed = seal_bytes(home, sealing, zstandard.ZstdCompressor().compress(json.dumps(manifest).encode()))
    described = StoredObject(hashlib.sha256(sealed).hexdigest(), len(sealed))
    listed = ObjectList(object_list.repository_id, forged, described, (*object_list.objects, *more))
    home_of_key = server.configuration.signing.gnupg_home
    publish_snapshot(layout, listed, sealed, sign_detached(home_of_key, server.repository.fingerprint, listed.encode()))
    return forged


def big_segment(manifest: Json) -> Json:
    """Return the segment that has a base object and a delta."""
    (table,) = (one for one in manifest["tables"] if one["name"] == "big")
    segment: Json = table["segments"][0]
    assert segment["base"]
    assert segment["deltas"]
    return segment


LIES: dict[str, Callable[[Json], None]] = {
    "a base with more lines": lambda manifest: big_segment(manifest)["base"].__setitem__(1, 20001),
    "a base with fewer lines": lambda manifest: big_segment(manifest)["base"].__setitem__(1, 100),
    "a delta with more lines": lambda manifest: big_segment(manifest)["deltas"][0].__setitem__(2, 9999),
    "negative lines": lambda manifest: big_segment(manifest)["base"].__setitem__(1, -1),
    "another object's index": lambda manifest: big_segment(manifest)["base"].__setitem__(0, 0),
    "an index that is not there": lambda manifest: big_segment(manifest)["base"].__setitem__(0, 99),
    "a member that is not there": lambda manifest: big_segment(manifest)["deltas"][0].__setitem__(1, 77),
    "a delta twice": lambda manifest: big_segment(manifest)["deltas"].append(big_segment(manifest)["deltas"][0]),
    "a delta left out": lambda manifest: big_segment(manifest)["deltas"].clear(),
    "other row counts": lambda manifest: next(one for one in manifest["tables"] if one["name"] == "big").__setitem__(
        "rows", 5
    ),
}


@pytest.mark.format("5.7", "5.8", "5.9")
@pytest.mark.parametrize("lie", LIES)
def test_lies(make_server: MakeServer, database: str, lie: str) -> None:
    """Whatever the manifest lies about, the restore ends with an integrity error and leaves no database."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE big AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i")
        server = make_server(database, engine="log")
        make_backup(server)
        connection.execute("DELETE FROM big WHERE i < 50; INSERT INTO big SELECT i, 'new' FROM generate_series(1, 9) i")
    forged = forge(server, make_backup(server).snapshot, LIES[lie])
    with psycopg.connect(conninfo_for(database, dbname="postgres")) as connection:
        names = "SELECT array_agg(datname ORDER BY 1) FROM pg_database WHERE datname LIKE 'restored_forged%'"
        with pytest.raises(IntegrityError) as caught:
            make_restore(server, "restored_forged", snapshot=forged)
        assert caught.value.exit_code == 14
        assert connection.execute(names).fetchone() == (None,)
