"""The server of a drill: what another local user lays in its way, and what killed runs left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from permafrost.engines.facts import database_facts
from permafrost.errors import ConfigurationError, ToolError
from permafrost.events import Warned, ignore_events
from permafrost.loading.scratch_server import ScratchPlace, scratch_server
from permafrost.postgres.catalog import describe_database
from permafrost.postgres.programs.scratch import ScratchCluster
from permafrost.repository.manifest import DatabaseFacts, Role
from tests.fixtures.newer_postgresql import NEWER_MAJORS, binaries_or_skip
from tests.fixtures.other_user import OTHER_USER, as_other_user, as_root
from tests.fixtures.own_postgresql import OWN_BINARIES, OWN_MAJOR

FACTS = DatabaseFacts(
    name="app", owner="app", server_version=150000, encoding="UTF8", collate="C", ctype="C", size_bytes=0
)

_ROLES = """
    CREATE ROLE tenant LOGIN; CREATE ROLE guest LOGIN NOINHERIT; CREATE ROLE auditor LOGIN BYPASSRLS;
    CREATE ROLE team; CREATE ROLE staff; CREATE ROLE chiefs SUPERUSER; CREATE ROLE strangers;
    CREATE ROLE "odd ""name"; CREATE ROLE uninvolved;
    GRANT team TO tenant; GRANT staff TO team WITH ADMIN OPTION; GRANT pg_read_all_stats TO staff;
    GRANT chiefs TO guest; GRANT "odd ""name" TO auditor; GRANT uninvolved TO strangers;
"""
_ROLES_SINCE_16 = """
    GRANT team TO guest WITH INHERIT FALSE, SET TRUE; GRANT staff TO auditor WITH INHERIT TRUE, SET FALSE;
    GRANT chiefs TO auditor WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
"""
_OWNED = """
    CREATE TABLE a (); ALTER TABLE a OWNER TO tenant; CREATE TABLE b (); ALTER TABLE b OWNER TO guest;
    GRANT SELECT ON a TO auditor;
"""
_RIGHTS = """
    SELECT m.rolname, r.rolname, pg_has_role(m.oid, r.oid, 'MEMBER'), pg_has_role(m.oid, r.oid, 'USAGE'),
        pg_has_role(m.oid, r.oid, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER'
            ELSE 'SET' END), pg_has_role(m.oid, r.oid, 'MEMBER WITH ADMIN OPTION'), m.rolsuper, m.rolbypassrls
    FROM pg_roles m, pg_roles r
    WHERE m.rolname = ANY(%s) AND (r.rolname = ANY(%s) OR r.rolname LIKE 'pg\\_%%') ORDER BY 1, 2
"""
_CONCERNED = ["tenant", "guest", "auditor", "team", "staff", "chiefs", 'odd "name']


@pytest.fixture
def place(server_folder: Path) -> Iterator[Path]:
    """A folder for throw-away servers that everybody may write to, as /var/tmp is."""
    folder = server_folder / "for-everybody"
    folder.mkdir()
    folder.chmod(0o1777)
    yield folder
    assert list(folder.iterdir()) == []
    folder.rmdir()


@as_root
def test_names_taken_by_another_user(place: Path, tmp_path: Path) -> None:
    """Folders, locks and links that another user laid under our names are neither used, followed nor removed."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").touch()
    laid = as_other_user(
        """
import os, sys
os.chdir(sys.argv[1])
os.umask(0)
for number in range(3):
    folder = f"permafrost-scratch-evil{number}"
    os.mkdir(folder, 0o700 if number else 0o777)
    for name in ("socket", "data", "data.unfinished", ".permafrost-lock"):
        os.symlink(sys.argv[2], f"{folder}/{name}")
    open(f"{folder}.lock", "w").close()
os.symlink(sys.argv[2], "permafrost-scratch-linked")
print("\\n".join(os.listdir()))
""",
        place,
        victim,
    ).split()
    with (
        scratch_server(FACTS, ScratchPlace(place), ignore_events) as server,
        psycopg.connect(server.conninfo("postgres")) as session,
    ):
        assert session.execute("SELECT 1").fetchone() == (1,)
        assert server.folder.name not in laid
        assert server.folder.stat().st_mode & 0o777 == 0o710
    assert (victim / "precious").exists()
    assert sorted(path.name for path in place.iterdir()) == sorted(laid)
    assert all(path.owner() == OTHER_USER.pw_name for path in place.iterdir() if not path.is_symlink())
    as_other_user("import shutil, sys, os\nos.chdir(sys.argv[1])\nos.system('rm -rf permafrost-*')", place)


@as_root
def test_a_place_of_another_user(server_folder: Path) -> None:
    """Root makes no server in a folder whose owner could exchange it."""
    theirs = server_folder / "of-another"
    theirs.mkdir()
    os.chown(theirs, OTHER_USER.pw_uid, OTHER_USER.pw_gid)
    with (
        pytest.raises(ConfigurationError, match="another user"),
        scratch_server(FACTS, ScratchPlace(theirs), ignore_events),
    ):
        pass
    theirs.rmdir()


def test_no_sandbox_no_server(place: Path, monkeypatch: pytest.MonkeyPatch, server_folder: Path) -> None:
    """Without bubblewrap no server is made; with the sandbox switched off one is, and a warning says so."""
    programs = server_folder / "bin"
    programs.mkdir()
    for name in ("test", "psql"):
        (programs / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(ToolError, match="bwrap"), scratch_server(FACTS, ScratchPlace(place), ignore_events):
        pass
    warnings: list[str] = []
    heard = lambda event: warnings.append(event.message) if isinstance(event, Warned) else None  # noqa: E731
    with scratch_server(FACTS, ScratchPlace(place, is_sandboxed=False), heard) as server:
        psycopg.connect(server.conninfo("postgres")).close()
    assert len(warnings) == 1
    assert 'sandbox is "off"' in warnings[0]


def test_nothing_is_written_twice(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drill's server has no checksums, waits for no disk, and writes rows of a table it has emptied only once."""
    binaries = binaries_or_skip(max(NEWER_MAJORS, default=18))
    monkeypatch.setenv("PATH", f"{binaries}{os.pathsep}{os.environ['PATH']}")
    facts = FACTS.model_copy(update={"server_version": 180000})
    with (
        scratch_server(facts, ScratchPlace(place), ignore_events) as server,
        psycopg.connect(server.conninfo("postgres")) as session,
    ):
        names = ("data_checksums", "fsync", "full_page_writes", "wal_level")
        assert [session.execute(f"SHOW {name}").fetchone() for name in names] == [
            ("off",),
            ("off",),
            ("off",),
            ("minimal",),
        ]


@pytest.mark.parametrize("major", [OWN_MAJOR, *NEWER_MAJORS])
def test_roles_have_what_they_had(
    major: int, server_folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each role that has to do with the snapshot is a member of what it was in the source, with the same options."""
    binaries = OWN_BINARIES if major == OWN_MAJOR else binaries_or_skip(major)
    monkeypatch.setenv("PATH", f"{binaries}{os.pathsep}{os.environ['PATH']}")
    with (
        ScratchCluster(server_folder / f"roles-{major}", binaries=binaries) as source,
        psycopg.connect(source.conninfo("postgres"), autocommit=True) as connection,
    ):
        connection.execute(_ROLES.encode())
        if major >= 16:
            connection.execute(_ROLES_SINCE_16.encode())
        connection.execute(_OWNED.encode())
        facts = database_facts(describe_database(connection))
        expected = connection.execute(_RIGHTS.encode(), (_CONCERNED, _CONCERNED)).fetchall()
    assert {role.name for role in facts.roles} == {"tenant", "guest", "auditor", "postgres"}
    assert {role.name for role in facts.groups or ()} == {"team", "staff", "chiefs", 'odd "name'}
    facts = DatabaseFacts.model_validate_json(facts.model_dump_json(exclude_none=True))
    with (
        scratch_server(facts, ScratchPlace(place), ignore_events) as server,
        psycopg.connect(server.conninfo("postgres")) as session,
    ):
        assert session.execute(_RIGHTS.encode(), (_CONCERNED, _CONCERNED)).fetchall() == expected
        assert session.execute("SELECT FROM pg_roles WHERE rolname IN ('strangers', 'uninvolved')").fetchall() == []


def test_an_ordinary_role_with_the_superusers_name(place: Path) -> None:
    """A role `postgres` that is no superuser in the source, as on a managed server, is none in a drill either."""
    role = Role(name="postgres", can_login=True)
    facts = FACTS.model_copy(update={"roles": (role,)})
    with (
        scratch_server(facts, ScratchPlace(place), ignore_events) as server,
        psycopg.connect(server.conninfo("postgres")) as session,
    ):
        supers = session.execute("SELECT rolname FROM pg_roles WHERE rolsuper").fetchall()
        assert supers == [("permafrost_superuser",)]


def test_an_older_snapshots_memberships(place: Path) -> None:
    """A snapshot that does not say with which options a role was granted gets no membership: it might be more."""
    roles = (Role(name="team", can_login=False), Role(name="tenant", can_login=True, member_of=("team",)))
    facts = FACTS.model_copy(update={"roles": roles})
    with (
        scratch_server(facts, ScratchPlace(place), ignore_events) as server,
        psycopg.connect(server.conninfo("postgres")) as session,
    ):
        assert session.execute("SELECT pg_has_role('tenant', 'team', 'MEMBER')").fetchone() == (False,)
