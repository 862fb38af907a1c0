"""permafrost vault seal-media as it is typed, and what the lists of vaults and invitations say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from permafrost.config.loading import load_configuration
from permafrost.operations.vault.invitations import open_invitations
from permafrost.sharing.server_side import server_side_of
from tests.fixtures.commands import command
from tests.fixtures.sealing import files_of, make_sealing_server
from tests.fixtures.server import SigningKey


def test_the_commands(tmp_path: Path, signing_key: SigningKey) -> None:
    """An invitation makes the store; the command seals, and says what; the invitation says that media are sealed."""
    sealing = make_sealing_server(tmp_path / "server", signing_key)
    sealing.write(1)
    file = sealing.server.write_configuration()
    file.write_text(f'{file.read_text()}[media]\npath = "{sealing.media}"\nsealed_path = "{tmp_path / "sealed"}"\n')
    words = ("--config", str(file))
    refused = command("vault", "seal-media", *words)
    assert (refused.returncode, "no vault gets sealed media" in refused.stderr) == (2, True)
    invited = command("vault", "invite", "friends", "--sealed-media", "--no-wait", *words)
    assert invited.returncode == 0, invited.stderr
    done = command("vault", "seal-media", "--json", *words)
    assert done.returncode == 0, done.stderr
    assert {key: json.loads(done.stdout)[key] for key in ("files", "sealed", "objects", "not_sealed")} == {
        "files": 1,
        "sealed": 1,
        "objects": 2,
        "not_sealed": 0,
    }
    listed = json.loads(command("vault", "invitations", "--json", *words).stdout)
    assert [(one["vault"], one["sealed_media"]) for one in listed["invitations"]] == [("friends", True)]
    assert "sealed media" in command("vault", "invitations", *words).stdout
    (sealing.media / "pipe").symlink_to("nowhere")
    told = command("vault", "seal-media", *words)
    assert (told.returncode, "1 path not sealed: pipe" in told.stdout) == (3, True)
    restored = sealing.restored(tmp_path / "restored", tmp_path / "sealed")
    assert (restored.files, files_of(tmp_path / "restored")) == (
        1,
        {name: found for name, found in files_of(sealing.media).items() if name != "pipe"},
    )
    (given,) = open_invitations(server_side_of(load_configuration(file)), datetime.now(UTC))
    assert given.sealed_media
