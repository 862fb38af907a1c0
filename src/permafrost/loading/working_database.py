"""The database that a restore works in: made empty, and given its properties and its name when whole and compared.

Until then it is marked as unfinished in its comment, by which the next restore finds and drops what a killed one left.
It works under a name of its own, so that under the final name there is what was there before or a whole restore; under
the final name only where an extension insists on it and nobody has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg

from permafrost.errors import PermafrostError, ReportedError, RestoreRefusedError
from permafrost.events import Note, Reporter, Warned
from permafrost.loading.preflight import Target
from permafrost.postgres.building.database_properties import DatabaseProperties, apply_properties, make_template
from permafrost.postgres.building.extension_trial import refused_extensions
from permafrost.postgres.building.guarded import Refused
from permafrost.postgres.building.provision import (
    NewDatabase,
    collation_version,
    create_database,
    database_exists,
    database_oid,
    drop_database,
    is_unfinished_restore,
    name_with_suffix,
    rename_database,
    swap_databases,
)
from permafrost.postgres.catalog import Grant
from permafrost.postgres.connection import as_role, conninfo_for
from permafrost.repository.manifest import DatabaseFacts

_SUFFIX = "_permafrost_new"


@dataclass(slots=True)
class WorkingDatabase:
    """The database under way, on the server that `connection` and the connection string `server` lead to.

    `without_extensions` are those that the server refuses to create and the target does not insist on.
    """

    connection: psycopg.Connection
    server: str
    target: Target
    facts: DatabaseFacts
    name: str
    without_extensions: Sequence[str] = ()

    @property
    def conninfo(self) -> str:
        """The connection string of the database, for the role that makes everything in it."""
        named = conninfo_for(self.server, dbname=self.name)
        return named if self.target.role is None else as_role(named, self.target.role)

    def make(self, report: Reporter) -> None:
        """Make the database, empty, and see whether its extensions can be created in it.

        Raise `RestoreRefusedError` if one cannot, unless the target does without it.
        """
        create_database(self.connection, _new_database(self.name, self.facts, self.target))
        _note_collation(self.connection, self.name, self.facts, report)
        self._try_extensions(report)

    def _try_extensions(self, report: Reporter) -> None:
        names = self.target.wanted(self.facts)
        refused = refused_extensions(self.conninfo, names)
        if (
            refused
            and self.target.with_all_extensions
            and self.name != self.target.database
            and not self.target.replaces
        ):
            rename_database(self.connection, self.name, self.target.database)
            self.name = self.target.database
            refused = refused_extensions(self.conninfo, names)
            if not refused:
                report(Note(f"loaded under its final name {self.name}: an extension insists on it"))
        if not refused:
            return
        if not self.target.with_all_extensions:
            self.without_extensions = tuple(refused)
            for name, reason in refused.items():
                report(
                    Warned(
                        f"the extension {name} is left out, with what depends on it and rows of extensions: {reason}"
                    )
                )
            return
        raise RestoreRefusedError(
            "the server refuses to create "
            + "; ".join(f"the extension {name} in {self.name}: {reason}" for name, reason in refused.items()),
            hint="give the server what they ask for (shared_preload_libraries, the name of their database) in "
            "postgresql.conf and restart it" + self._hint_of_names(),
        )

    def _hint_of_names(self) -> str:
        if not self.target.replaces:
            return ""
        return f"; or, if they insist on the name, rename {self.target.database} and restore without --replace"

    def finish(self, now: datetime, report: Reporter, mark: str | None = None) -> str | None:
        """Give the database its properties and its name; return the name that the one before is kept as, if any.

        `mark` takes the place of its comment, if it is not whole.
        """
        properties = _properties(self.facts, self.target)
        if mark is not None:
            properties = replace(properties, comment=mark)
        refused = apply_properties(self.connection, self.name, properties, self.target.database)
        kept_as = self._give_name(now)
        if self.facts.is_template:
            refused += make_template(self.connection, self.target.database)
        report_refused(refused, report)
        return kept_as

    def _give_name(self, now: datetime) -> str | None:
        if not self.target.replaces:
            if self.name != self.target.database:
                rename_database(self.connection, self.name, self.target.database)
            return None
        kept_as = name_with_suffix(self.target.database, f"_before_{now:%Y%m%dT%H%M%S}")
        swap_databases(self.connection, live=self.target.database, replacement=self.name, kept_as=kept_as)
        return kept_as


def report_refused(refused: Sequence[Refused], report: Reporter) -> None:
    """Report what was left out, with the statement that a superuser can run later."""
    for left_out in refused:
        how = f"{left_out.statement} ({left_out.reason})"
        report(Warned(f"refused by the server, so run it yourself, perhaps as a superuser: {how}"))


def clear_unfinished(connection: psycopg.Connection, target: Target) -> None:
    """Drop what a killed restore left; raise `RestoreRefusedError` if a foreign database has the working name."""
    working = name_with_suffix(target.database, _SUFFIX)
    if database_exists(connection, working) and not is_unfinished_restore(connection, working):
        raise RestoreRefusedError(
            f"the database {working}, which a restore uses while it works, exists and is not permafrost's",
            unchanged="everything",
            hint="rename it, or restore under another name",
        )
    _drop_unfinished(connection, working, target)


def _drop_unfinished(connection: psycopg.Connection, working: str, target: Target) -> None:
    for name in (working, target.database):
        if is_unfinished_restore(connection, name):
            drop_database(connection, name)


@contextmanager
def working_database(
    connection: psycopg.Connection, server: str, target: Target, facts: DatabaseFacts
) -> Iterator[WorkingDatabase]:
    """Yield the database to make; it is dropped if the block fails, and the error says what is as it was.

    A signal may come between the renaming and the end of the block: then the restore is there, and stays.
    """
    working = WorkingDatabase(connection, server, target, facts, name_with_suffix(target.database, _SUFFIX))
    before = database_oid(connection, target.database)
    try:
        yield working
    except BaseException as error:
        try:
            now = database_oid(connection, target.database)
            if now != before and not is_unfinished_restore(connection, target.database):
                left = f"nothing is undone: the restore had finished, and {target.database} is complete and compared"
            else:
                drop_database(connection, name_with_suffix(target.database, _SUFFIX))
                _drop_unfinished(connection, working.name, target)
                left = f"{_live(target)}; the unfinished one was dropped"
        except PermafrostError:
            left = f"{_live(target)}; the unfinished one is {working.name}, which the next restore drops"
        if isinstance(error, ReportedError) and not error.unchanged:
            error.unchanged = left
        raise


def _live(target: Target) -> str:
    return f"the database {target.database}" if target.replaces else "no database was added"


def _new_database(name: str, facts: DatabaseFacts, target: Target) -> NewDatabase:
    return NewDatabase(
        name=name,
        owner=facts.owner if target.with_owners else target.role,
        encoding=facts.encoding,
        collate=facts.collate,
        ctype=facts.ctype,
        locale_provider=facts.locale_provider,
        locale=facts.locale,
        icu_rules=facts.icu_rules,
        tablespace=facts.tablespace if target.with_tablespaces else None,
    )


def _note_collation(connection: psycopg.Connection, name: str, facts: DatabaseFacts, report: Reporter) -> None:
    before, now = facts.collation_version, collation_version(connection, name)
    if before is not None and now is not None and before != now:
        report(
            Note(
                f"the collation {facts.locale or facts.collate} was version {before} and is version {now} here: text"
                " may sort in another order; indexes are built in the new one"
            )
        )


def _properties(facts: DatabaseFacts, target: Target) -> DatabaseProperties:
    grants = None
    if target.with_owners and facts.grants is not None:
        grants = [Grant(grant.grantee, grant.privilege, grant.is_grantable, grant.grantor) for grant in facts.grants]
    return DatabaseProperties(
        comment=facts.comment,
        settings=[setting for setting in facts.settings if target.with_owners or not setting[0]],
        owner=facts.owner if target.with_owners else None,
        grants=grants,
        connection_limit=facts.connection_limit,
        security_labels=facts.security_labels or (),
    )
