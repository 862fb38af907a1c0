"""What goes wrong around sealed media is reported, and loses nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from permafrost.config.models import Configuration, Encryption
from permafrost.engines.media_list_publishing import list_folder
from permafrost.errors import ConfigurationError, KeyFileError, UsageError
from permafrost.events import Warned
from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.sealing import PassphraseSealing, RecipientSealing
from permafrost.repository.key_check import write_key_check
from permafrost.repository.media_list import MEDIA_LIST
from permafrost.sealed_media.state import STATE_FILE
from permafrost.status.document import status
from tests.fixtures.damage import flip_a_bit
from tests.fixtures.recipients import Recipient, new_recipient
from tests.fixtures.sealing import SealingServer, files_of, make_sealing_server
from tests.fixtures.server import SigningKey


@pytest.fixture
def sealing(tmp_path: Path, signing_key: SigningKey) -> SealingServer:
    """A server that has sealed a few files."""
    made = make_sealing_server(tmp_path / "server", signing_key)
    for number in range(4):
        made.write(number)
    made.seal()
    return made


def _found(sealing: SealingServer, passed: timedelta = timedelta()) -> list[str]:
    findings = status(sealing.configuration, datetime.now(UTC) + passed).findings
    return [finding.message for finding in findings if finding.code == "media-not-sealed"]


def test_a_store_that_is_away(sealing: SealingServer) -> None:
    """While the disk of the store is away nothing is sealed, the media list stays apart, and status says so."""
    assert _found(sealing) == []
    root = sealing.store.root
    root.rename(root.with_name("away"))
    with pytest.raises(ConfigurationError, match="does not exist any more"):
        sealing.seal()
    assert list_folder(sealing.configuration) == sealing.configuration.state.path / MEDIA_LIST
    (message,) = _found(sealing)
    assert "does not exist any more" in message
    root.with_name("away").rename(root)
    sealing.seal()
    assert _found(sealing) == []
    (message,) = _found(sealing, timedelta(days=2))
    assert message.startswith("no media have been sealed since")


def test_media_that_are_away(sealing: SealingServer, tmp_path: Path) -> None:
    """A media folder that is empty all at once is a disk that is not mounted: nothing counts as deleted."""
    shutil.move(sealing.media, tmp_path / "away")
    with pytest.raises(ConfigurationError, match="does not exist"):
        sealing.seal()
    sealing.media.mkdir()
    with pytest.raises(ConfigurationError, match="has no files any more"):
        sealing.seal()
    assert _found(sealing)
    assert sealing.restored(tmp_path / "restored").files == 4


def test_no_vault_gets_sealed_media(sealing: SealingServer) -> None:
    """Without a store and its state there is nothing to seal, and media lists are in the repository again."""
    shutil.rmtree(sealing.store.root)
    for file in sealing.configuration.state.path.glob(f"{STATE_FILE}*"):
        file.unlink()
    assert list_folder(sealing.configuration) == sealing.server.path / MEDIA_LIST
    with pytest.raises(UsageError, match="no vault gets sealed media"):
        sealing.seal()


def test_a_link_is_named(sealing: SealingServer) -> None:
    """What is no regular file is named, and status counts it."""
    (sealing.media / "link.png").symlink_to("/etc/passwd")
    result = sealing.seal()
    assert result.not_sealed == ("link.png: it is a link, a pipe or a device",)
    (message,) = _found(sealing)
    assert message.startswith("1 media files could not be sealed")


def test_a_damaged_state(sealing: SealingServer, tmp_path: Path) -> None:
    """A state that is no database any more is set aside, and found out again: nothing is sealed twice."""
    before = sealing.objects()
    file = sealing.configuration.state.path / STATE_FILE
    file.write_bytes(b"not a database" * 1000)
    assert sealing.seal().sealed == 0
    assert before <= sealing.objects()
    assert sealing.restored(tmp_path / "restored").files == 4


def test_another_passphrase_seals_nothing(sealing: SealingServer) -> None:
    """A passphrase that is not the repository's is refused."""
    sealing.server.passphrase_file.write_text("ANOTHER-PASSPHRASE-OF-SOMEBODY-ELSE\n")
    sealing.write(10)
    before = sealing.objects()
    with pytest.raises(KeyFileError, match="is not the one that this repository is sealed with"):
        sealing.seal()
    assert sealing.objects() == before


def test_a_changed_key(sealing: SealingServer, tmp_path: Path) -> None:
    """After a change of the repository's key everything is sealed with the new one; one key opens an index."""
    before = sealing.objects()
    sealing.server.passphrase_file.write_text("ANOTHER-PASSPHRASE-OF-THE-SAME-ADMIN\n")
    with temporary_home() as home:
        signing_home = sealing.configuration.signing.gnupg_home
        write_key_check(
            sealing.server.repository, PassphraseSealing(sealing.server.passphrase_file), home, signing_home
        )
    assert sealing.seal().sealed == 4
    assert before <= sealing.objects()
    assert sealing.restored(tmp_path / "restored").files == 4
    sealing.seal(timedelta(days=4))
    sealing.seal()
    assert not before & sealing.objects()
    assert any("sealed again" in said.message for said in sealing.told if isinstance(said, Warned))


def test_sealed_to_public_keys(tmp_path: Path, signing_key: SigningKey) -> None:
    """A server that can read nothing of its own resumes by its state, and without it seals everything again."""
    recipient: Recipient = new_recipient(("future-default", "default", "never"))
    sealing = make_sealing_server(tmp_path / "server", signing_key)
    keys = tmp_path / "keys"
    fingerprint = recipient.put_into(keys)
    encryption = Encryption(recipients=(fingerprint,), recipients_dir=keys)
    configuration: Configuration = sealing.configuration.model_copy(update={"encryption": encryption})
    sealing.server.repository.seal_from_now_on("recipients", (fingerprint,))
    repository = type(sealing.server.repository).open(sealing.server.path)
    with temporary_home() as home:
        sealing_to = RecipientSealing((keys / f"{fingerprint}.asc",))
        write_key_check(repository, sealing_to, home, configuration.signing.gnupg_home)
    sealing.server = replace(sealing.server, configuration=configuration, repository=repository)
    for number in range(3):
        sealing.write(number)
    assert sealing.seal().sealed == 3
    sealing.write(3)
    assert sealing.seal().sealed == 1
    before = sealing.objects()
    for file in configuration.state.path.glob(f"{STATE_FILE}*"):
        file.unlink()
    assert sealing.seal().sealed == 4
    assert before <= sealing.objects()
    sealing.seal(timedelta(days=4))
    sealing.seal()
    assert not before & sealing.objects()


def test_rot_in_the_store_is_not_restored(sealing: SealingServer, tmp_path: Path) -> None:
    """A flipped bit costs the files of its object, which are named, and nothing else."""
    sealing.write(20, 9 << 20)
    sealing.seal()
    victim = max(sealing.store.layout.objects.rglob("*.gpg"), key=lambda file: file.stat().st_size)
    flip_a_bit(victim, 12345)
    restored = sealing.restored(tmp_path / "restored")
    assert (restored.files, restored.not_copied) == (4, 1)
    assert "is corrupt" in restored.first_not_copied[0]
    assert len(files_of(tmp_path / "restored")) == 4
