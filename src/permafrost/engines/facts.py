"""Builds the manifest's parts about the database, its tables and Mastodon from what was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from permafrost.config.models import Mastodon
from permafrost.errors import ConfigurationError
from permafrost.events import Reporter, Warned
from permafrost.mastodon.environment import environment_among
from permafrost.postgres.building.sequences import SequenceValue
from permafrost.postgres.catalog import DatabaseDescription
from permafrost.postgres.digest import TableContents
from permafrost.postgres.ownership.roles import RoleFacts
from permafrost.repository.manifest import (
    CodeOfOthers,
    DatabaseFacts,
    DatabaseGrant,
    Extension,
    MastodonFacts,
    Membership,
    Role,
    SequenceFacts,
    Table,
)


def table_facts(tables: Sequence[TableContents]) -> tuple[Table, ...]:
    """Return the manifest's part about the tables."""
    return tuple(
        Table(
            schema_name=table.table.schema,
            name=table.table.name,
            rows=table.rows,
            digest=table.digest,
            digest_without_generated=table.digest_without_generated,
        )
        for table in tables
    )


def sequence_facts(sequences: Sequence[SequenceValue]) -> tuple[SequenceFacts, ...]:
    """Return the manifest's part about the sequences."""
    return tuple(
        SequenceFacts(
            namespace=sequence.name.schema,
            name=sequence.name.name,
            last_value=sequence.last_value,
            is_called=sequence.is_called,
        )
        for sequence in sequences
    )


def mastodon_facts(
    secret_files: Sequence[Path], schema_version: str | None, settings: Mastodon, report: Reporter
) -> MastodonFacts | None:
    """Return what the configuration, the secret files and the database tell of Mastodon, None if none is about one.

    The files are those that hold variables: .env.production, or NixOS's .secrets_env; values of secrets are not taken.
    One that cannot be read is reported, and is no reason to have no backup.
    """
    environment = None
    try:
        environment = environment_among(secret_files)
    except ConfigurationError as error:
        report(Warned(f"the snapshot will not say how Mastodon is set up: {error.message}"))
    if environment is None and schema_version is None and settings == Mastodon():
        return None
    version = ".".join(map(str, environment.version)) if environment and environment.version else None
    return MastodonFacts(
        version=settings.version or version,
        local_domain=settings.local_domain or (environment.local_domain if environment else "") or None,
        web_domain=settings.web_domain or (environment.web_domain if environment else "") or settings.local_domain,
        schema_version=schema_version,
        secrets_present=environment.secrets_present if environment else (),
        layout=settings.layout if settings.layout != "official" else None,
        folder=str(settings.folder) if settings.folder else None,
    )


def database_facts(description: DatabaseDescription) -> DatabaseFacts:
    """Return the manifest's part about the database."""
    return DatabaseFacts(
        name=description.name,
        owner=description.owner,
        server_version=description.server_version,
        encoding=description.encoding,
        collate=description.collate,
        ctype=description.ctype,
        locale_provider=description.locale_provider,
        locale=description.locale,
        collation_version=description.collation_version,
        size_bytes=description.size_bytes,
        comment=description.comment,
        icu_rules=description.icu_rules,
        connection_limit=description.connection_limit,
        is_template=description.is_template or None,
        tablespace=description.tablespace if description.tablespace != "pg_default" else None,
        tablespaces=description.tablespaces or None,
        security_labels=description.security_labels or None,
        grants=None
        if description.grants is None
        else tuple(
            DatabaseGrant(
                grantee=grant.grantee, privilege=grant.privilege, is_grantable=grant.is_grantable, grantor=grant.grantor
            )
            for grant in description.grants
        ),
        settings=description.settings,
        extensions=tuple(Extension(name=name, version=version) for name, version in description.extensions),
        roles=tuple(map(_role, description.roles)),
        groups=tuple(map(_role, description.groups)) or None,
        foreign_code=tuple(CodeOfOthers(**asdict(code)) for code in description.foreign_code) or None,
        excluded_schemas=description.excluded_schemas or None,
        excluded_tables=tuple(
            (excluded_table.schema, excluded_table.name) for excluded_table in description.excluded_tables
        )
        or None,
    )


def _role(facts: RoleFacts) -> Role:
    """Return the manifest's part about a role."""
    return Role(
        name=facts.name,
        can_login=facts.can_login,
        is_superuser=facts.is_superuser,
        member_of=facts.member_of or None,
        settings=facts.settings or None,
        bypasses_rls=facts.bypasses_rls or None,
        memberships=tuple(
            Membership(
                role=membership.role,
                can_grant=membership.can_grant,
                inherits=membership.inherits,
                can_become=membership.can_become,
            )
            for membership in facts.memberships
        )
        or None,
    )
