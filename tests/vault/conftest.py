"""What the vault's tests share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.repository.repository import Repository
from permafrost.vault.invitation import Invitation, OfferedFolder
from tests.fixtures.server import SigningKey

SERVER_ID = "7DSWSKM-FDN56EF-PAOP2N2-OO7OMFD-KSC53JD-XI6KMGI-QY34KJ4-UI2SWAO"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def invitation() -> Invitation:
    """An invitation with everything in it, good for an hour from `NOW`."""
    repository_id = "0123456789abcdef" * 2
    return Invitation(
        server_name="example.social",
        server_device_id=SERVER_ID,
        repository_id=repository_id,
        fingerprint="0123456789ABCDEF0123456789ABCDEF01234567",
        vault_name="attic",
        folders=(
            OfferedFolder(folder_id=f"permafrost-{repository_id}", kind="repository"),
            OfferedFolder(folder_id=f"permafrost-{repository_id}-media", kind="media"),
        ),
        addresses=("tcp://192.0.2.1:22000", "dynamic"),
        secret="00112233445566778899" * 2,
        expires_at=NOW + timedelta(hours=1),
    )


@pytest.fixture
def repository(tmp_path: Path, signing_key: SigningKey) -> Repository:
    """An empty repository of a server."""
    return Repository.create(
        tmp_path / "server",
        sealing="passphrase",
        recipients=(),
        fingerprint=signing_key.fingerprint,
        signing_public_key=signing_key.public_key,
        now=datetime.now(UTC),
    )
