"""What a hostile server signs: lists, manifests and media lists that say anything, below a signature that is good."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import zstandard

from permafrost.openpgp.home import temporary_home
from permafrost.openpgp.sealing import OpeningKey, PassphraseSealing, open_bytes
from permafrost.openpgp.signing import sign_detached
from permafrost.repository.sealed import seal_bytes
from tests.fuzz.mutations import changed, changed_value

_HEADER_LINES = 3
_MOST_MANIFEST_BYTES = 1 << 24


@dataclass(frozen=True)
class Signer:
    """The keys of a server: a GnuPG home with its signing key, and its passphrase's file, None to sign lists alone."""

    home: str
    fingerprint: str
    passphrase_file: str | None

    def sign(self, content: bytes) -> bytes:
        """Return the detached signature."""
        return sign_detached(Path(self.home), self.fingerprint, content)


def lie(repository: Path, signer: Signer, at: Random) -> tuple[str, str]:
    """Change something that the server signs in the repository; return which file it was, and what was done."""
    choices: list[Callable[[Path, Signer, Random], tuple[str, str]]] = [_list]
    if signer.passphrase_file is not None:
        choices += [_manifest, _manifest]
    if (repository / "media-list/index.json").is_file():
        choices += [_media_index, _media_rows]
    return at.choice(choices)(repository, signer, at)


def _folder(repository: Path, at: Random) -> Path:
    folders = [file.parent for file in repository.glob("snapshots/*/objects.sha256")]
    return at.choice(sorted(folders))


def _list(repository: Path, signer: Signer, at: Random) -> tuple[str, str]:
    folder = _folder(repository, at)
    how, content = _changed_list((folder / "objects.sha256").read_bytes(), at)
    _put(folder / "objects.sha256", content)
    _put(folder / "objects.sha256.sig", signer.sign(content))
    return f"{folder.name}/objects.sha256", how


def _changed_list(content: bytes, at: Random) -> tuple[str, bytes]:
    lines = content.splitlines(keepends=True)
    header, entries = (
        lines[:_HEADER_LINES],
        ["".join(map(bytes.decode, lines[i : i + 2])) for i in range(3, len(lines), 2)],
    )
    first, *others = entries
    other = at.choice(others or [first])
    lies = {
        "repeated": [first, *others, other],
        "repeated often": [first, *[other] * at.choice((1000, 50_000))],
        "another order": [first, *at.sample(others, len(others))],
        "the manifest last": [*others, first],
        "no manifest": others,
        "no objects": [first],
        "one less": [first, *others[1:]],
        "the manifest twice": [first, first, *others],
        "a missing object": [first, *others, _entry("ab" * 32, 7)],
        "a huge object": [first, *others, _entry("cd" * 32, 9_999_999_999_999_999_999 // 10)],
        "another size": [first, *others[1:], other.replace("# size ", "# size 1", 1)],
        "a path that leaves": [first, *others, _entry("ab" * 32, 7).replace("objects/ab", "objects/..")],
        "letters of another script": [first, *others, other.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}")],
        "many objects": [first, *(_entry(hashlib.sha256(b"%d" % i).hexdigest(), i) for i in range(20_000))],
    }
    if at.random() < 0.3:
        return changed("objects.sha256", content, [content], at)
    how = at.choice(sorted(lies))
    return how, b"".join(header) + "".join(lies[how]).encode()


def _entry(name: str, size_bytes: int) -> str:
    path = f"objects/{name[:2]}/{name}.gpg"
    return f"# size {size_bytes} {path}\n{name}  {path}\n"


def _manifest(repository: Path, signer: Signer, at: Random) -> tuple[str, str]:
    folder = _folder(repository, at)
    assert signer.passphrase_file is not None
    passphrase = Path(signer.passphrase_file)
    sealed = (folder / "manifest.gpg").read_bytes()
    with temporary_home() as home:
        packed = open_bytes(home, OpeningKey(passphrase), [sealed], limit_bytes=_MOST_MANIFEST_BYTES)
        plain = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MOST_MANIFEST_BYTES)
        how, content = _changed_manifest(plain, at)
        again = seal_bytes(home, PassphraseSealing(passphrase), zstandard.ZstdCompressor().compress(content))
    _put(folder / "manifest.gpg", again)
    listed = (folder / "objects.sha256").read_bytes()
    listed = listed.replace(hashlib.sha256(sealed).hexdigest().encode(), hashlib.sha256(again).hexdigest().encode())
    listed = listed.replace(b"# size %d snapshots/" % len(sealed), b"# size %d snapshots/" % len(again), 1)
    _put(folder / "objects.sha256", listed)
    _put(folder / "objects.sha256.sig", signer.sign(listed))
    return f"{folder.name}/manifest.gpg", how


def _changed_manifest(plain: bytes, at: Random) -> tuple[str, bytes]:
    if at.random() < 0.15:
        return changed("manifest.json", plain, [plain], at)
    document = json.loads(plain)
    for _ in range(at.choice((1, 1, 1, 3))):
        after = changed_value(document, at)
        document = after if isinstance(after, dict) else document
    return "a lie", json.dumps(document).encode("utf-8", "surrogatepass")


def _media_index(repository: Path, signer: Signer, at: Random) -> tuple[str, str]:
    file = repository / "media-list/index.json"
    index = json.loads(json.loads(file.read_bytes())["content"])
    text = json.dumps(changed_value(index, at)).encode("utf-8", "backslashreplace")
    _sign_index(file, text.decode(), signer)
    return "media-list/index.json", "a lie"


def _media_rows(repository: Path, signer: Signer, at: Random) -> tuple[str, str]:
    """Change the lines of a part of the media list, and name and sign the part again."""
    file = repository / "media-list/index.json"
    index = json.loads(json.loads(file.read_bytes())["content"])
    part = at.choice(index["parts"])
    old = repository / f"media-list/{part['name']}.zst"
    plain = zstandard.ZstdDecompressor().decompress(old.read_bytes(), max_output_size=1 << 24)
    how, rows = changed("rows", plain * at.choice((1, 1, 2000)), [plain, b"\n", b"accounts/avatars/" * 90_000], at)
    packed = zstandard.ZstdCompressor().compress(rows)
    if at.random() < 0.2:
        how, packed = changed("part", packed, [packed], at)
    old.unlink()
    part.update(name=hashlib.sha256(packed).hexdigest(), size_bytes=len(packed))
    _put(repository / f"media-list/{part['name']}.zst", packed)
    index["snapshot"] = f"{index['snapshot'][:-8]}{at.randrange(1 << 32):08x}"
    _sign_index(file, json.dumps(index), signer)
    return "media-list", how


def _sign_index(file: Path, text: str, signer: Signer) -> None:
    signed = {"content": text, "signature": signer.sign(text.encode()).decode()}
    _put(file, json.dumps(signed).encode())


def _put(file: Path, content: bytes) -> None:
    file.unlink(missing_ok=True)
    file.write_bytes(content)
