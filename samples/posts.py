"""Statuses and what hangs on them: conversations, mentions, tags, media, polls, cards, favourites.

First everything but the text is decided (`plan_statuses`), so that each table can be written as a stream of its
own that only looks at the plan.
"""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from samples.language import Writer
from samples.people import Account, picture
from samples.rows import BEGAN_MS, UNTIL_MS, Connection, Row, copy_rows, moment, snowflake, zipf
from samples.secrets_like import token

DAY_MS = 86_400_000
CACHED_FOR_MS = 90 * DAY_MS


@dataclass(slots=True)
class Status:
    """A status as planned; `reblog_of` ones have no text and nothing that hangs on them."""

    id: int
    account: Account
    created_ms: int
    visibility: int = 0
    conversation: int = 0
    parent: Status | None = None
    reblog_of: Status | None = None
    media_ids: list[int] = field(default_factory=list)
    tags: list[int] = field(default_factory=list)
    poll: int | None = None
    card: int | None = None

    @property
    def uri(self) -> str:
        """The status's ActivityPub id."""
        return f"{self.account.uri}/statuses/{self.id}"


@dataclass(frozen=True, slots=True)
class Before:
    """What is there before statuses are planned: the span of time they fall into, the latest ones, the last ids."""

    began_ms: int = BEGAN_MS
    until_ms: int = UNTIL_MS
    latest: Sequence[Status] = ()
    conversations: int = 0
    mentions: int = 0
    polls: int = 0
    cards: int = 0


NOTHING = Before()


def plan_statuses(
    rng: Random, accounts: Sequence[Account], count: int, *, tags: int, before: Before = NOTHING
) -> list[Status]:
    """Return `count` statuses by time: a few accounts write most of them; a fifth are reblogs, a third replies."""
    authors = list(accounts)
    rng.shuffle(authors)
    times = sorted(rng.randrange(before.began_ms, before.until_ms) for _ in range(count))
    chosen = rng.choices(authors, cum_weights=zipf(len(authors)), k=count)
    tag_weights = zipf(tags)
    polls, cards = itertools.count(before.polls + 1), itertools.count(before.cards + 1)
    statuses: list[Status] = []
    originals = list(before.latest)
    conversations = before.conversations
    for created_ms, account in zip(times, chosen, strict=True):
        status = Status(snowflake(rng, created_ms), account, created_ms)
        statuses.append(status)
        kind = rng.random()
        if originals and kind < 0.5:  # an answer to, or a reblog of, one of the latest
            earlier = originals[max(0, len(originals) - 1 - int(rng.expovariate(0.01)))]
            status.conversation = earlier.conversation
            if kind < 0.2:
                status.reblog_of = earlier
                continue
            status.parent = earlier
        else:
            conversations += 1
            status.conversation = conversations
        _plan_extras(rng, status, tag_weights, polls, cards)
        originals.append(status)
    return statuses


def _plan_extras(
    rng: Random, status: Status, tag_weights: list[float], polls: Iterator[int], cards: Iterator[int]
) -> None:
    status.visibility = rng.choices((0, 1, 2, 3), (80, 12, 5, 3))[0]
    if rng.random() < 0.25:
        tags = rng.choices(range(len(tag_weights)), cum_weights=tag_weights, k=rng.randint(1, 3))
        status.tags = sorted(set(tags))
    extra = rng.random()
    if extra < 0.18:
        status.media_ids = [_media_id(rng, status.created_ms) for _ in range(rng.choice((1, 1, 1, 2, 4)))]
    elif extra < 0.20:
        status.poll = next(polls)
    elif extra < 0.25:
        status.card = next(cards)


def tag_count(statuses: int) -> int:
    """Return how many tags a server with so many statuses knows."""
    return max(10, statuses // 50)


def _media_id(rng: Random, created_ms: int) -> int:
    return snowflake(rng, created_ms - rng.randint(5_000, 300_000))


def _status_rows(rng: Random, writer: Writer, statuses: Sequence[Status], tags: Sequence[str]) -> Iterator[Row]:
    for status in statuses:
        account = status.account
        language = writer.language()
        text = ""
        if status.reblog_of is None:
            text = writer.post(language) + "".join(f" #{tags[n]}" for n in status.tags)
            if not account.is_local:
                text = f"<p>{html.escape(text, quote=False)}</p>".replace("\n", "<br />")
        is_edited = status.reblog_of is None and rng.random() < 0.03
        thread = status.parent
        yield {
            "id": status.id,
            "uri": status.uri,
            "url": None if account.is_local else f"https://{account.domain}/@{account.username}/{status.id}",
            "account_id": account.id,
            "text": text,
            "spoiler_text": writer.sentence(language, 3) if rng.random() < 0.04 else "",
            "sensitive": rng.random() < 0.06,
            "visibility": status.visibility,
            "language": None if status.reblog_of else language,
            "local": account.is_local,
            "reply": thread is not None,
            "in_reply_to_id": thread and thread.id,
            "in_reply_to_account_id": thread and thread.account.id,
            "reblog_of_id": status.reblog_of and status.reblog_of.id,
            "conversation_id": status.conversation,
            "poll_id": status.poll,
            "application_id": rng.randint(1, 5) if account.is_local else None,
            "ordered_media_attachment_ids": status.media_ids or None,
            "deleted_at": moment(UNTIL_MS) if rng.random() < 0.002 else None,
            "edited_at": moment(status.created_ms + 600_000) if is_edited else None,
            "created_at": moment(status.created_ms),
            "updated_at": moment(status.created_ms + (600_000 if is_edited else 0)),
        }


def _conversation_rows(statuses: Sequence[Status]) -> Iterator[Row]:
    for status in statuses:
        if status.parent is None and status.reblog_of is None:
            created = moment(status.created_ms)
            uri = None if status.account.is_local else f"tag:{status.account.domain},{created:%Y-%m-%d}:{status.id}"
            yield {"id": status.conversation, "uri": uri, "created_at": created, "updated_at": created}


def _mention_rows(statuses: Sequence[Status], known: int) -> Iterator[Row]:
    replies = (one for one in statuses if one.parent is not None and one.parent.account is not one.account)
    for n, status in enumerate(replies, known + 1):
        assert status.parent is not None  # noqa: S101 - only those are left
        created = moment(status.created_ms)
        yield {
            "id": n,
            "status_id": status.id,
            "account_id": status.parent.account.id,
            "created_at": created,
            "updated_at": created,
        }


def _tag_rows(rng: Random, tags: Sequence[str]) -> Iterator[Row]:
    for n, name in enumerate(tags, 1):
        created = moment(rng.randrange(BEGAN_MS, UNTIL_MS))
        yield {
            "id": n,
            "name": name.lower(),
            "display_name": name,
            "trendable": rng.choice((True, None, None)),
            "max_score": rng.random() * 100 if rng.random() < 0.1 else None,
            "created_at": created,
            "updated_at": created,
        }


def _tagging_rows(statuses: Sequence[Status]) -> Iterator[Row]:
    for status in statuses:
        for tag in status.tags:
            yield {"status_id": status.id, "tag_id": tag + 1}


_MEDIA = (
    (60, 0, "jpeg", "image/jpeg"),
    (20, 0, "png", "image/png"),
    (5, 0, "webp", "image/webp"),
    (3, 0, "gif", "image/gif"),
    (8, 2, "mp4", "video/mp4"),
    (4, 4, "mp3", "audio/mpeg"),
)


def _media_rows(rng: Random, writer: Writer, statuses: Sequence[Status]) -> Iterator[Row]:
    """Of remote files, those older than the cache's time are not here; audio and video may have a cover."""
    shares = [share for share, *_ in _MEDIA]
    for status in statuses:
        for media_id in status.media_ids:
            is_local = status.account.is_local
            _, kind, extension, content_type = rng.choices(_MEDIA, shares)[0]
            present = is_local or status.created_ms > UNTIL_MS - CACHED_FOR_MS
            updated = moment(media_id >> 16)
            name = f"{rng.getrandbits(64):016x}.{extension}"
            width, height = rng.randint(200, 1600), rng.randint(200, 1600)
            size = {"width": width, "height": height, "size": f"{width}x{height}", "aspect": width / height}
            covered = kind != 0 and rng.random() < 0.3
            yield {
                "id": media_id,
                "status_id": status.id,
                "account_id": status.account.id,
                "type": kind,
                "processing": 2,
                "description": writer.sentence("en", 10) if rng.random() < 0.6 else None,
                "shortcode": token(rng, 19) if is_local and rng.random() < 0.1 else None,
                "blurhash": token(rng, 28),
                "remote_url": "" if is_local else f"https://files.{status.account.domain}/{name}",
                "file_file_name": name if present else None,
                "file_content_type": content_type if present else None,
                "file_file_size": int(rng.lognormvariate(9.8, 0.6)) if present else None,
                "file_updated_at": updated if present else None,
                "file_meta": json.dumps({"original": size}),
                "file_storage_schema_version": 1,
                "thumbnail_remote_url": f"https://files.{status.account.domain}/c/{name}"
                if covered and not is_local
                else "",
                **_cover(rng, present=present and covered, updated_ms=media_id >> 16),
                "created_at": updated,
                "updated_at": updated,
            }


def _cover(rng: Random, *, present: bool, updated_ms: int) -> Row:
    """Before Mastodon 4.6 remote covers had no storage version."""
    return picture(rng, "thumbnail", present=present, is_old=rng.random() < 0.5, updated_ms=updated_ms)


def _poll_rows(rng: Random, writer: Writer, statuses: Sequence[Status]) -> Iterator[Row]:
    for status in statuses:
        if status.poll is None:
            continue
        options = [writer.sentence("en", 2) for _ in range(rng.randint(2, 4))]
        options[0] += ' {"a", b\\c}'
        tallies = [rng.randrange(40) for _ in options]
        yield {
            "id": status.poll,
            "account_id": status.account.id,
            "status_id": status.id,
            "options": options,
            "cached_tallies": tallies,
            "votes_count": sum(tallies),
            "voters_count": None if rng.random() < 0.2 else sum(tallies),
            "multiple": rng.random() < 0.2,
            "expires_at": moment(status.created_ms + DAY_MS),
            "created_at": moment(status.created_ms),
            "updated_at": moment(status.created_ms + DAY_MS),
        }


def _card_rows(rng: Random, writer: Writer, statuses: Sequence[Status]) -> Iterator[Row]:
    for status in statuses:
        if status.card is None:
            continue
        host = f"{writer.word()}.example"
        yield {
            "id": status.card,
            "url": f"https://{host}/{status.card}/{writer.word()}",
            "title": writer.sentence("en", 6),
            "description": writer.sentence("en", 25),
            "type": 0,
            "provider_name": host,
            "width": 400,
            "height": 300,
            "language": "en",
            "created_at": moment(status.created_ms),
            "updated_at": moment(status.created_ms),
            **picture(rng, "image", present=rng.random() < 0.7, is_old=False, updated_ms=status.created_ms),
        }


def _card_use_rows(statuses: Sequence[Status]) -> Iterator[Row]:
    for status in statuses:
        if status.card is not None:
            yield {"preview_card_id": status.card, "status_id": status.id}


def _favourite_rows(rng: Random, accounts: Sequence[Account], statuses: Sequence[Status]) -> Iterator[Row]:
    """A server learns of favourites by its own accounts, and of those for its own statuses; few statuses get most."""
    members = [one for one in accounts if one.is_local]
    popular = [one for one in statuses if one.reblog_of is None]
    rng.shuffle(popular)
    own = [one for one in popular if one.account.is_local]
    seen: set[tuple[int, int]] = set()
    for n in range(1, len(statuses) * 6 // 10):
        by_member = not own or rng.random() < 0.7
        account = rng.choice(members if by_member else accounts)
        choice = popular if by_member else own
        status = choice[int(len(choice) * rng.random() ** 3)]
        pair = (account.id, status.id)
        if pair in seen:
            continue
        seen.add(pair)
        created = moment(min(UNTIL_MS, status.created_ms + int(rng.expovariate(1 / DAY_MS))))
        yield {
            "id": n,
            "account_id": account.id,
            "status_id": status.id,
            "created_at": created,
            "updated_at": created,
        }


def add_posts(connection: Connection, seed: int, accounts: Sequence[Account], count: int) -> None:
    """Add `count` statuses by `accounts` and everything that hangs on them."""
    rng = Random(f"posts {seed}")
    writer = Writer(rng)
    tags = [f"{writer.word().capitalize()}{writer.word().capitalize()}{n}" for n in range(tag_count(count))]
    statuses = plan_statuses(rng, accounts, count, tags=len(tags))
    copy_rows(connection, "tags", _tag_rows(Random(f"tags {seed}"), tags))
    add_statuses(connection, rng, writer, statuses, tags)
    copy_rows(connection, "favourites", _favourite_rows(rng, accounts, statuses))


def add_statuses(
    connection: Connection,
    rng: Random,
    writer: Writer,
    statuses: Sequence[Status],
    tags: Sequence[str],
    before: Before = NOTHING,
) -> None:
    """Add planned statuses with conversations, mentions, taggings, media, polls and cards; `tags` are all by id."""
    copy_rows(connection, "conversations", _conversation_rows(statuses))
    copy_rows(connection, "statuses", _status_rows(rng, writer, statuses, tags))
    copy_rows(connection, "mentions", _mention_rows(statuses, before.mentions))
    copy_rows(connection, "statuses_tags", _tagging_rows(statuses))
    copy_rows(connection, "media_attachments", _media_rows(rng, writer, statuses))
    copy_rows(connection, "polls", _poll_rows(rng, writer, statuses))
    copy_rows(connection, "preview_cards", _card_rows(rng, writer, statuses))
    copy_rows(connection, "preview_cards_statuses", _card_use_rows(statuses))
