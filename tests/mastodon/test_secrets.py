"""The secrets without which a database is worth little, in the snapshot or missed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from permafrost.events import Event, Warned
from permafrost.findings import FindingKind
from permafrost.mastodon.secrets import KEYPAIRS_SINCE, SINCE_4_3, missing_for_identity
from permafrost.operations.backup import back_up
from permafrost.status.document import status
from tests.fixtures.server import MakeServer


@pytest.mark.parametrize(
    ("schema", "present", "files", "missing"),
    [
        ("20260611150940", (), (), ()),
        (None, (), (), ()),
        (KEYPAIRS_SINCE, SINCE_4_3, (), ()),
        (KEYPAIRS_SINCE, SINCE_4_3[:2], (), SINCE_4_3[2:]),
        ("20270101000000", SINCE_4_3[1:], ("active-record-encryption-primary-key",), ()),
    ],
)
def test_what_4_7_cannot_do_without(
    schema: str | None, present: tuple[str, ...], files: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    """From 4.7 on the three encryption keys are missed, wherever they may be: in the environment, or in files."""
    assert missing_for_identity(schema, present, [Path("/run/secrets") / name for name in files]) == missing


def test_a_backup_says_that_the_identity_is_at_risk(database: str, make_server: MakeServer, tmp_path: Path) -> None:
    """A backup of a 4.7 without its accounts' keys is made, with a warning, which status keeps; with them, not."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE schema_migrations (version text PRIMARY KEY)")
        connection.execute("INSERT INTO schema_migrations VALUES (%s)", (KEYPAIRS_SINCE,))
    file = tmp_path / ".env.production"
    file.write_text("LOCAL_DOMAIN=example.social\n")
    server = make_server(database, secret_files=(file,), engine="log")
    for text, is_warned in (("", True), ("".join(f"{name}=something-long\n" for name in SINCE_4_3), False)):
        file.write_text(file.read_text() + text)
        events: list[Event] = []
        back_up(server.configuration, report=events.append, now=datetime.now(UTC))
        warnings = [event.message for event in events if isinstance(event, Warned)]
        assert any("has lost its identity" in warning for warning in warnings) is is_warned, warnings
        found = status(server.configuration, datetime.now(UTC))
        said = [finding.message for finding in found.findings if finding.kind is FindingKind.IDENTITY_KEYS_MISSING]
        assert [all(name in message for name in SINCE_4_3) for message in said] == [True] * is_warned
        assert ("without its identity" in found.verdict.text) is is_warned
