"""Accounts here and elsewhere, and what belongs to those who log in here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from uuid import UUID

from samples.encryption import encrypted, key_pair, second_factor
from samples.language import Writer
from samples.rows import BEGAN_MS, LOCAL_DOMAIN, UNTIL_MS, Connection, Row, copy_rows, moment, snowflake, zipf
from samples.secrets_like import password_hash, public_key, token

INSTANCE_ACTOR_ID = -99
EVERYONE_ROLE_ID = -99
YEAR_MS = 365 * 86_400_000
_PICTURES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class Account:
    """An account; `domain` is None if it is one of this server's. Old ones have small ids."""

    id: int
    username: str
    domain: str | None
    created_ms: int
    is_old: bool
    is_suspended: bool

    @property
    def uri(self) -> str:
        """The account's ActivityPub id."""
        return f"https://{self.domain or LOCAL_DOMAIN}/users/{self.username}"

    @property
    def is_local(self) -> bool:
        """Whether the account is one of this server's."""
        return self.domain is None


def invent_accounts(rng: Random, writer: Writer, count: int) -> list[Account]:
    """Return `count` accounts by age: one in twenty local (at least three), the second of those suspended.

    One in fifty is from before ids embedded time.
    """
    local_count = max(3, count // 20)
    domains = [f"{writer.word()}{n}.example" for n in range(max(3, count // 40))]
    weights = zipf(len(domains))
    places = [None] * local_count + rng.choices(domains, cum_weights=weights, k=max(0, count - local_count))
    rng.shuffle(places)
    second_local = [n for n, place in enumerate(places) if place is None][1]
    old_count = max(2, count // 50)
    times = sorted(rng.randrange(BEGAN_MS, UNTIL_MS) for _ in places)
    accounts = []
    for n, (domain, created_ms) in enumerate(zip(places, times, strict=True)):
        is_old = n < old_count
        born_ms = created_ms - 6 * YEAR_MS if is_old else created_ms
        accounts.append(
            Account(
                id=1 + n * 7 if is_old else snowflake(rng, created_ms),
                username=f"{writer.word()}_{n}" if n % 3 else f"{writer.word().capitalize()}{n}",
                domain=domain,
                created_ms=born_ms,
                is_old=is_old,
                is_suspended=n == second_local or rng.random() < 0.005,
            )
        )
    return accounts


def picture(rng: Random, prefix: str, *, present: bool, is_old: bool, updated_ms: int) -> Row:
    """Return the columns `prefix`_* of an attached picture, all NULL if it is not `present`.

    Remote files of old rows have no storage version, and so lie outside `cache/`.
    """
    extension = rng.choice(list(_PICTURES))
    return {
        f"{prefix}_file_name": f"{rng.getrandbits(64):016x}.{extension}" if present else None,
        f"{prefix}_content_type": _PICTURES[extension] if present else None,
        f"{prefix}_file_size": rng.randint(2_000, 40_000) if present else None,
        f"{prefix}_updated_at": moment(updated_ms) if present else None,
        f"{prefix}_storage_schema_version": 1 if present and not is_old else None,
    }


def _portrait(rng: Random, prefix: str, account: Account, *, share: float) -> Row:
    present = rng.random() < share
    return picture(rng, prefix, present=present, is_old=account.is_old, updated_ms=account.created_ms)


def _account_rows(rng: Random, writer: Writer, accounts: list[Account]) -> Iterator[Row]:
    actor = Account(INSTANCE_ACTOR_ID, LOCAL_DOMAIN, None, BEGAN_MS, is_old=False, is_suspended=False)
    for number, account in enumerate((actor, *accounts)):
        is_actor = account is actor
        private, public = key_pair(number) if account.is_local else (None, public_key(rng))
        remote_base = "" if account.is_local else account.uri
        language = writer.language()
        fields = [{"name": writer.word(), "value": writer.sentence(language, 3)}]
        yield {
            "id": account.id,
            "username": account.username,
            "domain": account.domain,
            "display_name": "" if is_actor else writer.sentence(language, 2)[:-1],
            "note": "" if is_actor else writer.post(language),
            "uri": remote_base,
            "url": None if account.is_local else f"https://{account.domain}/@{account.username}",
            "inbox_url": remote_base and f"{remote_base}/inbox",
            "outbox_url": remote_base and f"{remote_base}/outbox",
            "shared_inbox_url": remote_base and f"https://{account.domain}/inbox",
            "followers_url": remote_base and f"{remote_base}/followers",
            "following_url": remote_base and f"{remote_base}/following",
            "protocol": 0 if account.is_local else 1,
            "private_key": private,
            "public_key": public,
            "actor_type": "Application" if is_actor else rng.choice(("Person", "Person", "Person", "Service")),
            "locked": is_actor or rng.random() < 0.1,
            "discoverable": rng.choice((True, True, False, None)),
            "fields": json.dumps(fields) if rng.random() < 0.3 else None,
            "also_known_as": [f"https://old.example/users/{account.username}"] if rng.random() < 0.05 else None,
            "suspended_at": moment(UNTIL_MS - 86_400_000) if account.is_suspended else None,
            "suspension_origin": 0 if account.is_suspended else None,
            "last_webfingered_at": None if account.is_local else moment(rng.randrange(BEGAN_MS, UNTIL_MS)),
            "created_at": moment(account.created_ms),
            "updated_at": moment(rng.randrange(BEGAN_MS, UNTIL_MS)),
            **_portrait(rng, "avatar", account, share=0 if is_actor else 0.8),
            **_portrait(rng, "header", account, share=0 if is_actor else 0.4),
        }


def _keypair_rows(rng: Random, accounts: list[Account]) -> Iterator[Row]:
    """Before Mastodon 4.7 only remote accounts have some, without private keys."""
    remote = (one for one in accounts if not one.is_local and rng.random() < 0.3)
    for n, account in enumerate(remote, 1):
        yield {
            "id": n,
            "account_id": account.id,
            "uri": f"{account.uri}#main-key",
            "type": 0,
            "public_key": public_key(rng),
            "created_at": moment(account.created_ms),
            "updated_at": moment(account.created_ms),
        }


def _role_rows() -> Iterator[Row]:
    roles = (
        (EVERYONE_ROLE_ID, "", 65536, -1),
        (1, "Moderator", 1308, 10),
        (2, "Admin", 983036, 100),
        (3, "Owner", 1, 1000),
    )
    for role_id, name, permissions, position in roles:
        yield {
            "id": role_id,
            "name": name,
            "permissions": permissions,
            "position": position,
            "highlighted": role_id > 0,
            "created_at": moment(BEGAN_MS),
            "updated_at": moment(BEGAN_MS),
        }


def _user_rows(rng: Random, members: list[Account]) -> Iterator[Row]:
    for n, account in enumerate(members, 1):
        has_two_factors = n == 1 or rng.random() < 0.3
        yield {
            "id": n,
            "account_id": account.id,
            "email": f"{account.username.lower()}@mail.example",
            "encrypted_password": password_hash(rng),
            "otp_required_for_login": has_two_factors,
            "otp_secret": encrypted(rng, second_factor(rng)) if has_two_factors else None,
            "otp_backup_codes": [password_hash(rng) for _ in range(10)] if has_two_factors else None,
            "role_id": 3 if n == 1 else None,
            "locale": rng.choice(("en", "de", "fr", None)),
            "chosen_languages": ["en", "de"] if rng.random() < 0.2 else None,
            "settings": json.dumps({"theme": "default", "notification_emails.follow": rng.random() < 0.5}),
            "confirmed_at": moment(account.created_ms),
            "current_sign_in_at": moment(rng.randrange(BEGAN_MS, UNTIL_MS)),
            "sign_in_count": rng.randint(1, 90),
            "sign_up_ip": _address(rng),
            "created_at": moment(account.created_ms),
            "updated_at": moment(rng.randrange(BEGAN_MS, UNTIL_MS)),
        }


def _application_rows(rng: Random, writer: Writer) -> Iterator[Row]:
    for n in range(1, 6):
        yield {
            "id": n,
            "name": "Web" if n == 1 else writer.word().capitalize(),
            "uid": token(rng),
            "secret": token(rng),
            "redirect_uri": "urn:ietf:wg:oauth:2.0:oob",
            "scopes": "read write follow push",
            "superapp": n == 1,
            "created_at": moment(BEGAN_MS),
            "updated_at": moment(BEGAN_MS),
        }


def _access_token_rows(rng: Random, members: list[Account]) -> Iterator[Row]:
    for n, account in enumerate(members, 1):
        yield {
            "id": n,
            "token": token(rng),
            "resource_owner_id": n,
            "application_id": rng.randint(1, 5),
            "scopes": "read write follow push",
            "last_used_at": moment(rng.randrange(BEGAN_MS, UNTIL_MS)),
            "last_used_ip": _address(rng),
            "created_at": moment(account.created_ms),
        }


def _session_rows(rng: Random, members: list[Account]) -> Iterator[Row]:
    for n, account in enumerate(members, 1):
        yield {
            "id": n,
            "user_id": n,
            "session_id": f"{rng.getrandbits(128):032x}",
            "access_token_id": n,
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
            "ip": _address(rng),
            "created_at": moment(account.created_ms),
            "updated_at": moment(rng.randrange(BEGAN_MS, UNTIL_MS)),
        }


def _web_setting_rows(members: list[Account]) -> Iterator[Row]:
    for n, account in enumerate(members, 1):
        columns = [{"id": "HOME", "uuid": str(UUID(int=n)), "params": {}}]
        yield {
            "id": n,
            "user_id": n,
            "data": json.dumps({"onboarded": True, "columns": columns}),
            "created_at": moment(account.created_ms),
            "updated_at": moment(account.created_ms),
        }


def _follow_rows(rng: Random, accounts: list[Account], members: list[Account]) -> Iterator[Row]:
    """One side of each follow is local: a server hardly learns of others."""
    popularity = zipf(len(accounts), 0.8)
    count = len(accounts) * 4
    seen: set[tuple[int, int]] = set()
    for n, other in enumerate(rng.choices(accounts, cum_weights=popularity, k=count), 1):
        member = rng.choice(members)
        follower, followed = (member, other) if rng.random() < 0.6 else (other, member)
        pair = (follower.id, followed.id)
        if follower is followed or pair in seen:
            continue
        seen.add(pair)
        created = moment(rng.randrange(BEGAN_MS, UNTIL_MS))
        yield {
            "id": n,
            "account_id": follower.id,
            "target_account_id": followed.id,
            "show_reblogs": rng.random() < 0.9,
            "languages": ["de", "en"] if rng.random() < 0.02 else None,
            "uri": f"{follower.uri}#follows/{n}",
            "created_at": created,
            "updated_at": created,
        }


def _address(rng: Random) -> str:
    if rng.random() < 0.4:
        return f"2001:db8::{rng.getrandbits(16):x}:{rng.getrandbits(16):x}"
    return f"198.51.100.{rng.randrange(256)}"


def add_people(connection: Connection, seed: int, accounts: list[Account]) -> None:
    """Add the accounts, and users, sessions, applications and follows for them."""
    rng = Random(f"people {seed}")
    writer = Writer(rng)
    members = [one for one in accounts if one.is_local]
    copy_rows(connection, "accounts", _account_rows(rng, writer, accounts))
    copy_rows(connection, "keypairs", _keypair_rows(rng, accounts))
    copy_rows(connection, "user_roles", _role_rows())
    copy_rows(connection, "users", _user_rows(rng, members))
    copy_rows(connection, "oauth_applications", _application_rows(rng, writer))
    copy_rows(connection, "oauth_access_tokens", _access_token_rows(rng, members))
    copy_rows(connection, "session_activations", _session_rows(rng, members))
    copy_rows(connection, "web_settings", _web_setting_rows(members))
    copy_rows(connection, "follows", _follow_rows(rng, accounts, members))
