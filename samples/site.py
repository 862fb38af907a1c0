"""What belongs to the whole server: settings, rules, emoji, uploads."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from samples.language import Writer
from samples.people import Account, picture
from samples.rows import BEGAN_MS, UNTIL_MS, Connection, Row, copy_rows, moment

_SETTINGS = {
    "site_title": "--- A server in the permafrost\n",
    "site_contact_username": "--- admin\n",
    "registrations_mode": "--- approved\n",
    "site_short_description": '--- |\n  Frozen, and "well kept":\n  nothing is lost\n',
    "media_cache_retention_period": "--- 90\n",
    "custom_css": "--- ''\n",
}


def _setting_rows() -> Iterator[Row]:
    for n, (name, value) in enumerate(_SETTINGS.items(), 1):
        yield {"id": n, "var": name, "value": value, "created_at": moment(BEGAN_MS), "updated_at": moment(UNTIL_MS)}


def _rule_rows(writer: Writer) -> Iterator[Row]:
    for n in range(1, 5):
        yield {
            "id": n,
            "text": writer.sentence("en", 8),
            "hint": writer.sentence("en", 15),
            "priority": n,
            "created_at": moment(BEGAN_MS),
            "updated_at": moment(BEGAN_MS),
        }


def _emoji_rows(rng: Random, writer: Writer, accounts: list[Account]) -> Iterator[Row]:
    """Twenty of our own, and about one for each ten remote accounts."""
    places = [None] * 20 + [one.domain for one in accounts[::10] if not one.is_local]
    for n, domain in enumerate(places, 1):
        created_ms = rng.randrange(BEGAN_MS, UNTIL_MS)
        image = picture(rng, "image", present=True, is_old=rng.random() < 0.1, updated_ms=created_ms)
        yield {
            "id": n,
            "shortcode": f"{writer.word()}_{n}",
            "domain": domain,
            "uri": domain and f"https://{domain}/emojis/{n}",
            "image_remote_url": domain and f"https://{domain}/emoji/{n}.png",
            "created_at": moment(created_ms),
            "updated_at": moment(created_ms),
            **image,
        }


def _upload_rows(rng: Random) -> Iterator[Row]:
    for n, name in enumerate(("thumbnail", "mascot", "favicon"), 1):
        yield {
            "id": n,
            "var": name,
            "file_file_name": f"{rng.getrandbits(64):016x}.png",
            "file_content_type": "image/png",
            "file_file_size": rng.randint(5_000, 40_000),
            "file_updated_at": moment(BEGAN_MS),
            "created_at": moment(BEGAN_MS),
            "updated_at": moment(BEGAN_MS),
        }


def add_site(connection: Connection, seed: int, accounts: list[Account]) -> None:
    """Add settings, rules, emoji and uploads."""
    rng = Random(f"site {seed}")
    writer = Writer(rng)
    copy_rows(connection, "settings", _setting_rows())
    copy_rows(connection, "rules", _rule_rows(writer))
    copy_rows(connection, "custom_emojis", _emoji_rows(rng, writer, accounts))
    copy_rows(connection, "site_uploads", _upload_rows(rng))
