"""A log snapshot whose manifest lies, although it is sealed and signed by the right keys: refused, nothing left."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from permafrost.errors import IntegrityError
from permafrost.postgres.connection import conninfo_for
from tests.fixtures.backups import make_backup, make_restore
from tests.fixtures.forgery import Json, big_segment, forge
from tests.fixtures.server import MakeServer

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
