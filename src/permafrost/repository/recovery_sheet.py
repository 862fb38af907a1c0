"""The recovery sheet: text to print, with everything that disaster day needs and a lost server cannot provide."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from textwrap import dedent, indent

from permafrost.openpgp.fingerprints import in_groups

_PLACE = "/srv/copy"
_SUPERUSER = "postgres"
_BLANK = "    ______________________________________________________________________\n"


@dataclass(frozen=True, slots=True)
class SheetFacts:
    """What the sheet contains; `passphrase` is None if backups are sealed to `recipients`.

    `role` is the PostgreSQL role that backs up the database, and most likely owns it.
    """

    server: str
    made_at: datetime
    repository_id: str
    fingerprint: str
    repository: Path
    database: str
    role: str
    secret_names: tuple[str, ...]
    has_media: bool
    passphrase: str | None = field(repr=False)
    recipients: tuple[str, ...] = ()
    earlier: str | None = None
    """The last snapshot that the sheet before this one opens, if there was one."""
    buckets: tuple[str, ...] = ()
    """The repository's addresses in buckets."""


def recovery_sheet(facts: SheetFacts) -> str:
    """Return the sheet, 80 columns wide, ready to print; lines that begin with eight spaces are commands."""
    parts = (_head(facts), _key(facts), _earlier(facts), _vaults(facts), _buckets(facts), _disaster_day(facts))
    return "\n".join(part for part in parts if part)


def _head(facts: SheetFacts) -> str:
    title = f"permafrost recovery sheet for {facts.server}"
    return dedent(f"""\
        {title}
        {"=" * len(title)}
        Made {facts.made_at:%Y-%m-%d %H:%M %Z}. Print it, or copy it by hand, and keep it away
        from the server: when the server is gone, this is what opens its backups.

        Repository id            {facts.repository_id}
        Signing key fingerprint  {in_groups(facts.fingerprint)}
        """)


def _key(facts: SheetFacts) -> str:
    if facts.passphrase is not None:
        return dedent(f"""\
            Passphrase (lower-case letters and digits; it contains no 0, 1, l or o)

                {facts.passphrase}

            Anyone with this passphrase and a copy of the repository can read everything.
            If you lose it, nobody can help you.
            """)
    keys = "\n".join(f"    {in_groups(recipient)}" for recipient in facts.recipients)
    return (
        "The backups open with the secret key of any one of these fingerprints:\n\n"
        f"{keys}\n\n"
        "The server does not have these keys. Write down where they are kept, and who\n"
        f"knows their passphrases:\n\n{_BLANK}"
    )


def _earlier(facts: SheetFacts) -> str:
    if facts.earlier is None:
        return ""
    return (
        f"Snapshots up to {facts.earlier} are sealed with another key.\n"
        "Keep the earlier sheet until no vault has them any more.\n"
    )


def _vaults(facts: SheetFacts) -> str:
    return (
        f"On the server the repository was in\n    {facts.repository}\n"
        "Vaults that have a copy. For each, write down machine, place, login and folder\n"
        f"(as: attic, at Ann's, ssh root@192.0.2.7, /srv/permafrost)\n\n{_BLANK}{_BLANK}{_BLANK}"
    )


def _buckets(facts: SheetFacts) -> str:
    if not facts.buckets:
        return ""
    addresses = "".join(f"    {address}\n" for address in facts.buckets)
    return (
        "Buckets that have a copy, without media. For each, write down a key that may\n"
        "read and list it, or who can make one at the provider\n"
        f"{addresses}\n{_BLANK * len(facts.buckets)}"
    )


def _disaster_day(facts: SheetFacts) -> str:
    title = "On disaster day, on a new machine with Debian"
    steps = (
        _install(),
        _fetch(facts),
        *([] if facts.role == _SUPERUSER else [_role(facts)]),
        _bring_key(facts),
        _restore(facts),
        _afterwards(facts),
    )
    return f"{title}\n{'-' * len(title)}\n" + "".join(
        f"{number}. {indent(step, '   ').lstrip()}" for number, step in enumerate(steps, 1)
    )


def _commands(*lines: str) -> str:
    return "\n" + "".join(f"     {line}\n" for line in lines) + "\n"


def _install() -> str:
    return (
        "As root, install what is needed to read backups. PostgreSQL must be at least\n"
        "as new as on the old server.\n"
        + _commands("apt-get install postgresql gnupg zstd python3")
        + "Then install permafrost from the copy of its source that you keep with\n"
        "this sheet, as its README says. If you cannot, restore without it.\n"
    )


def _fetch(facts: SheetFacts) -> str:
    return (
        f"Still as root, copy the vault's folder\n  {facts.server}/history\n"
        f"to {_PLACE}/history, and give it to PostgreSQL's own user. From here on,\n"
        "work as that user.\n"
        + _commands(
            f"chown -R {_SUPERUSER}: {_PLACE} && chmod 0700 {_PLACE}",
            f"cd {_PLACE} && su {_SUPERUSER}",
        )
        + _from_bucket(facts)
    )


def _from_bucket(facts: SheetFacts) -> str:
    """Return how the copy comes from a bucket, if there is one; lines that are no commands of every disaster day."""
    if not facts.buckets:
        return ""
    return (
        "If no vault is left, fetch it from a bucket, as that user. Its key goes into\n"
        "the file bucket-key, as ACCESS_KEY_ID:SECRET_ACCESS_KEY:\n\n"
        "  (umask 077; cat > bucket-key)\n"
        f"  permafrost bucket fetch '{facts.buckets[0]}' \\\n"
        "    history --credentials bucket-key \\\n"
        f'    --fingerprint "{in_groups(facts.fingerprint)}"\n\n'
    )


def _role(facts: SheetFacts) -> str:
    return (
        "Create the role that owns the database. If other roles are missing, the\n"
        "restore names them and says how to create them.\n" + _commands(f"createuser {shlex.quote(facts.role)}")
    )


def _bring_key(facts: SheetFacts) -> str:
    if facts.passphrase is not None:
        return (
            "Put the passphrase into a file that only you can read: type it, then press\nEnter and Ctrl-D.\n"
            + _commands("umask 077; cat > passphrase")
        )
    return (
        "Copy the secret key to ./secret-key.asc. Put its own passphrase into a file\n"
        "that only you can read: type it, then press Enter and Ctrl-D. (If it has none,\n"
        "leave out --passphrase-file below.)\n" + _commands("umask 077; cat > passphrase")
    )


def _restore(facts: SheetFacts) -> str:
    key = "" if facts.passphrase is not None else "--secret-key-file secret-key.asc "
    secrets = " --secrets-to secrets" if facts.secret_names else ""
    options = (
        f"  {key}--passphrase-file passphrase \\",
        f'  --fingerprint "{in_groups(facts.fingerprint)}" \\',
        f"  --database {shlex.quote(facts.database)}{secrets}",
    )
    return (
        "Restore. Everything is verified first; existing databases are not touched.\n"
        + _commands("permafrost restore latest --repository history \\", *options)
        + "Without permafrost, a program in the repository does the same. It needs only\n"
        "what step 1 has installed:\n"
        + _commands("python3 history/restore.py restore \\", *options)
        + "If that fails too, history/README.txt says how to do it by hand.\n"
    )


def _afterwards(facts: SheetFacts) -> str:
    what = facts.secret_names[0] if len(facts.secret_names) == 1 else "all files"
    back = [f"{what} from secrets"] if facts.secret_names else []
    back += ["the media from a vault"] if facts.has_media else []
    put = f"Before you start Mastodon, put back:\n  {', '.join(back)}.\n" if back else ""
    return f"Make sure that the old server can never come up again. Leave Redis empty.\n{put}"
