from __future__ import annotations

from base64 import urlsafe_b64decode
from pathlib import Path

from samples.environment import _PRIME, _public_point, environment_file, vapid_keys


def settings_of(text: str) -> dict[str, str]:
    """Return the file's settings."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_the_file_has_every_secret() -> None:
    """All the secrets that Mastodon 4.6 needs are there, in their usual form; what no row needs differs each time."""
    one = settings_of(environment_file("mastodon.example", "mastodon_production", Path("/run/postgresql"), 5432))
    other = settings_of(environment_file("mastodon.example", "mastodon_production", Path("/run/postgresql"), 5432))
    lengths = {"SECRET_KEY_BASE": 128, "OTP_SECRET": 128, "VAPID_PRIVATE_KEY": 44, "VAPID_PUBLIC_KEY": 88}
    lengths |= dict.fromkeys((name for name in one if name.startswith("ACTIVE_RECORD_ENCRYPTION_")), 32)
    assert len(lengths) == 7
    for name, length in lengths.items():
        assert len(one[name]) == length, name
        is_the_samples = name.startswith("ACTIVE_RECORD_ENCRYPTION_")  # so that the rows can be read with it
        assert (one[name] == other[name]) is is_the_samples, name
    assert one["DB_HOST"] == "/run/postgresql"
    assert one["LOCAL_DOMAIN"] == "mastodon.example"


def test_the_public_key_lies_on_the_curve() -> None:
    """The public key is an uncompressed point of P-256, that of the private key."""
    private, public = (urlsafe_b64decode(one) for one in vapid_keys())
    x, y = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    coefficient = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    assert public[0] == 4
    assert (y * y - (x**3 - 3 * x + coefficient)) % _PRIME == 0
    assert _public_point(int.from_bytes(private, "big")) == (x, y)


def test_doubling_the_base_point_is_right() -> None:
    """Twice the base point is the known point of the published test vectors."""
    x, _ = _public_point(2)
    assert x == 0x7CF27B188D034F7E8A52380304B51AC3C08969E277F21B35A60B48FC47669978
