"""The manifest: the description of a snapshot (docs/format.md, section 5). JSON, zstd, then an OpenPGP message.

Objects are named once, by the object list, and referred to by their index in it, so that the manifest's size
grows with what changed. Keys are only ever added; a reader ignores keys that it does not know.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import zstandard
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from permafrost.errors import IntegrityError
from permafrost.postgres.version import major_version

_PIECE_BYTES = 1 << 20
MAXIMUM_JSON_BYTES = 64 << 20
_LEVEL = 9

ObjectKind = Literal["frame", "secrets", "base", "delta"]


class Part(BaseModel):
    """A part of the manifest; unknown keys are left alone, so that newer manifests can be read."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Extension(Part):
    """An extension that the database uses."""

    name: str
    version: str


class Membership(Part):
    """What a role's member has of it: may it grant it on, does it have its rights by itself, may it become it."""

    role: str
    can_grant: bool
    inherits: bool
    can_become: bool


class Role(Part):
    """A role that owns something or is granted something, without its password."""

    name: str
    can_login: bool
    is_superuser: bool = False
    member_of: tuple[str, ...] | None = Field(default=None, description="the roles that were granted to it")
    settings: tuple[str, ...] | None = Field(default=None, description="name=value of each ALTER ROLE SET")
    bypasses_rls: bool | None = Field(default=None, description="given if row level security is not for it")
    memberships: tuple[Membership, ...] | None = Field(default=None, description="member_of, with the options")


class DatabaseGrant(Part):
    """A privilege on the database itself; `grantee` is empty for PUBLIC."""

    grantee: str
    privilege: str
    is_grantable: bool
    grantor: str | None = None


class DatabaseFacts(Part):
    """The database as it was: what is needed to make an equal one before anything is loaded."""

    name: str
    owner: str
    server_version: int = Field(description="server_version_num, as 150018")
    system_identifier: str | None = None
    encoding: str
    collate: str
    ctype: str
    locale_provider: str = "c"
    locale: str | None = None
    collation_version: str | None = None
    size_bytes: int
    comment: str | None = None
    icu_rules: str | None = None
    connection_limit: int | None = None
    is_template: bool | None = None
    tablespace: str | None = Field(default=None, description="the database's own, if it is not pg_default")
    tablespaces: tuple[str, ...] | None = Field(default=None, description="all those that something in it uses")
    security_labels: tuple[tuple[str, str], ...] | None = Field(default=None, description="provider, label")
    grants: tuple[DatabaseGrant, ...] | None = None
    settings: tuple[tuple[str, str, str], ...] = Field(
        default=(), description="role ('' for all), setting, value: ALTER DATABASE SET"
    )
    extensions: tuple[Extension, ...] = ()
    roles: tuple[Role, ...] = ()
    groups: tuple[Role, ...] | None = Field(
        default=None, description="roles that those are members of, directly or not, and that own nothing here"
    )
    excluded_schemas: tuple[str, ...] | None = Field(default=None, description="left out as the configuration says")
    excluded_tables: tuple[tuple[str, str], ...] | None = Field(
        default=None, description="schema, name of each table and sequence that was left out for that"
    )

    @property
    def server_major(self) -> int:
        """The server's major version, as 15."""
        return major_version(self.server_version)


class Segment(Part):
    """A logged segment: where its base and its deltas lie, and how many lines each brought."""

    base: tuple[int, int] | None = Field(default=None, description="index of the base object, lines")
    deltas: tuple[tuple[int, int, int], ...] = Field(
        default=(), description="index of the delta object, member in it, lines; in the chain's order"
    )


class SequenceFacts(Part):
    """A sequence's value."""

    namespace: str
    name: str
    last_value: int
    is_called: bool


class Table(Part):
    """A table's rows, counted under the snapshot; the digest is there if the snapshot is audited.

    `segments` is there if the table is logged: its rows are then in these, in the order of `columns`, and not in
    the frame.
    """

    schema_name: str = Field(alias="schema")
    name: str
    rows: int = Field(ge=0)
    digest: str | None = None
    digest_without_generated: str | None = Field(default=None, description="if it has generated columns")
    columns: tuple[str, ...] | None = None
    segments: tuple[Segment, ...] | None = None

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class ManifestObject(Part):
    """What the object at one index of the object list is."""

    kind: ObjectKind
    index: int = Field(ge=0)


class MastodonFacts(Part):
    """What a restore of Mastodon has to know; names of secrets, never their values."""

    local_domain: str | None = None
    web_domain: str | None = None
    version: str | None = Field(default=None, description="of Mastodon's code, as 4.5.2")
    schema_version: str | None = None
    secrets_present: tuple[str, ...] = ()
    layout: str | None = Field(default=None, description="nixos, docker or yunohost; none as Mastodon's guide has it")
    folder: str | None = Field(default=None, description="of its code or compose file, where it is not the usual one")


class Manifest(Part):
    """What a snapshot is."""

    format: Literal[1] = 1
    repository: str
    snapshot: str
    made_at: datetime
    signing_key: str
    engine: Literal["dump", "log"]
    is_audited: bool = False
    database: DatabaseFacts
    tables: tuple[Table, ...] = ()
    sequences: tuple[SequenceFacts, ...] = ()
    objects: tuple[ManifestObject, ...]
    mastodon: MastodonFacts | None = None
    tools: dict[str, str] = Field(default_factory=dict)

    def indices(self, kind: ObjectKind) -> tuple[int, ...]:
        """Return the indices of the objects of `kind`, in order."""
        return tuple(stored.index for stored in self.objects if stored.kind == kind)


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest's JSON, compressed with zstd."""
    content = manifest.model_dump_json(by_alias=True, exclude_none=True).encode()
    return zstandard.ZstdCompressor(level=_LEVEL).compress(content)


def decode_manifest(compressed: bytes) -> Manifest:
    """Return the manifest that zstd data holds; raise `IntegrityError` if it is not one or unreasonably large."""
    try:
        return Manifest.model_validate_json(_decompressed(compressed))
    except (zstandard.ZstdError, ValidationError) as error:
        raise IntegrityError(
            f"the manifest cannot be read: {str(error).splitlines()[0]}",
            hint="a newer permafrost may have written it; docs/format.md describes the formats",
        ) from error


def _decompressed(compressed: bytes) -> bytes:
    """Return the JSON text, piece by piece: memory is filled by what there is, and not by what there might be."""
    content = bytearray()
    with zstandard.ZstdDecompressor().stream_reader(compressed) as reader:
        while piece := reader.read(_PIECE_BYTES):
            content += piece
            if len(content) > MAXIMUM_JSON_BYTES:
                raise IntegrityError(f"the manifest is larger than {MAXIMUM_JSON_BYTES} bytes")
    return bytes(content)
