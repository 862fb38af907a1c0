"""restore_media.py restores a sealed store with Python, gpg and zstd alone."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.damage import flip_a_bit
from tests.fixtures.sealing import SealingServer, files_of, make_sealing_server
from tests.fixtures.server import SigningKey

SCRIPT = Path(__file__).parents[2] / "src" / "permafrost" / "sealed_media" / "emergency" / "restore_media.py"


@pytest.fixture
def sealing(tmp_path: Path, signing_key: SigningKey) -> SealingServer:
    """A server that has sealed files: small, large, equal, empty, closed, with odd names, of two runs."""
    made = make_sealing_server(tmp_path / "server", signing_key)
    for number in range(5):
        made.write(number)
    made.write(5, 9 << 20)
    made.write(6, content=(made.media / made.write(1)).read_bytes())
    made.write(7, content=b"")
    (made.media / "odd \n%41 n\xe4me\t.png").write_bytes(b"odd")
    (made.media / os.fsdecode(b"not \xff utf-8")).write_bytes(b"bytes")
    made.seal()
    (made.media / made.write(2)).chmod(0o600)
    (made.media / made.write(3)).unlink()
    made.write(8)
    made.seal()
    return made


def _run(sealing: SealingServer, *words: str, passphrase_file: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the script that lies in the store, isolated from all that is installed."""
    key = str(passphrase_file or sealing.server.passphrase_file)
    script = str(sealing.store.root / "restore_media.py")
    command = (sys.executable, "-I", script, *words, "--passphrase-file", key)
    return subprocess.run(
        (*command, "--fingerprint", sealing.key.fingerprint), capture_output=True, text=True, check=False
    )


@pytest.mark.format("10.1", "10.5", "10.6")
def test_all_comes_back(sealing: SealingServer, tmp_path: Path) -> None:
    """What it restores is equal to the media, to the last byte, permission and time; a second run does nothing."""
    done = _run(sealing, "restore", "--to", str(tmp_path / "restored"))
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "restored") == files_of(sealing.media)
    (tmp_path / "restored" / "not restored again").write_bytes(b"")
    before = {name: (tmp_path / "restored" / name).stat().st_ino for name in files_of(tmp_path / "restored")}
    assert _run(sealing, "restore", "--to", str(tmp_path / "restored")).returncode == 0
    assert before == {name: (tmp_path / "restored" / name).stat().st_ino for name in files_of(tmp_path / "restored")}


@pytest.mark.format("10.3")
def test_check_needs_no_key(sealing: SealingServer, tmp_path: Path) -> None:
    """Without a key every byte is compared with the list; one flipped bit, and one missing object, are found."""
    nothing = tmp_path / "nothing"
    nothing.write_text("")
    assert _run(sealing, "check", passphrase_file=nothing).returncode == 0
    victim = max(sealing.store.layout.objects.rglob("*.gpg"), key=lambda file: file.stat().st_size)
    flip_a_bit(victim, 5000)
    done = _run(sealing, "check", passphrase_file=nothing)
    assert (done.returncode, victim.stem in done.stderr) == (1, True)
    restored = _run(sealing, "restore", "--to", str(tmp_path / "restored"))
    assert (restored.returncode, "1 files could not be restored" in restored.stderr) == (1, True)
    assert len(files_of(tmp_path / "restored")) == len(files_of(sealing.media)) - 1
    victim.unlink()
    assert _run(sealing, "check", passphrase_file=nothing).returncode == 1


@pytest.mark.format("10.2")
def test_another_signature_is_refused(sealing: SealingServer, tmp_path: Path) -> None:
    """An index that somebody else has changed is not believed."""
    index = sealing.store.index
    index.chmod(0o644)
    index.write_bytes(index.read_bytes().replace(b'rows\\":', b'rows\\": '))
    done = _run(sealing, "restore", "--to", str(tmp_path / "restored"))
    assert (done.returncode, "no good signature" in done.stderr) == (1, True)
    assert not (tmp_path / "restored").exists()


def test_a_wrong_passphrase_is_named(sealing: SealingServer, tmp_path: Path) -> None:
    """A wrong passphrase is told as such."""
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    done = _run(sealing, "restore", "--to", str(tmp_path / "restored"), passphrase_file=wrong)
    assert (done.returncode, "is it the right passphrase" in done.stderr) == (1, True)


@pytest.mark.format("10.1")
def test_it_stands_alone() -> None:
    """It is one executable file of Python's standard library alone, in the words of Python 3.9."""
    text = SCRIPT.read_text()
    tree = ast.parse(text, feature_version=(3, 9))
    imported = {
        name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    imported |= {(node.module or "?").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= set(sys.stdlib_module_names)
    assert len(text.splitlines()) <= 300
    assert os.access(SCRIPT, os.X_OK)
    assert shutil.which("zstd")
    assert "AGPL-3.0-or-later" in text.splitlines()[1]
