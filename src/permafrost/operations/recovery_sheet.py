"""The recovery sheet: one page of text with everything that disaster day needs and a lost server cannot give."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from textwrap import dedent


@dataclass(frozen=True, slots=True)
class SheetFacts:
    """What stands on the sheet; `passphrase` is None where backups are sealed to `recipients`."""

    server: str
    made_at: datetime
    repository_id: str
    fingerprint: str
    repository: Path
    database: str
    passphrase: str | None = field(repr=False)
    recipients: tuple[str, ...] = ()


def recovery_sheet(facts: SheetFacts) -> str:
    """Return the sheet, 80 columns wide, ready to print."""
    parts = (_head(facts), _key(facts), _vaults(facts), _commands(facts))
    return "\n".join(parts)


def _head(facts: SheetFacts) -> str:
    title = f"permafrost recovery sheet for {facts.server}"
    return dedent(f"""\
        {title}
        {"=" * len(title)}
        Made {facts.made_at:%Y-%m-%d %H:%M %Z}. Print it, or copy it by hand, and keep it away
        from the server: when the server is gone, this is what opens its backups.

        Repository id            {facts.repository_id}
        Signing key fingerprint  {_in_groups(facts.fingerprint)}
        """)


def _key(facts: SheetFacts) -> str:
    if facts.passphrase is not None:
        return dedent(f"""\
            Passphrase (small letters and digits; there is no 0, no 1, no l and no o)

                {facts.passphrase}

            Who has it and a copy of the repository can read everything. Who has lost it
            can read nothing, and nobody can help.
            """)
    keys = "\n".join(f"    {_in_groups(one)}" for one in facts.recipients)
    return (
        "The backups open with the secret key of any one of these fingerprints:\n\n"
        f"{keys}\n\n"
        "The server does not have them. Write down here where they are kept, and who\n"
        "knows their passphrases:\n\n"
        "    ______________________________________________________________________\n"
    )


def _vaults(facts: SheetFacts) -> str:
    blank = "    ______________________________________________________________________\n"
    return (
        f"On the server the repository was\n    {facts.repository}\n"
        f"Vaults that hold a copy of it; fill in:\n\n{blank}{blank}{blank}"
    )


def _commands(facts: SheetFacts) -> str:
    if facts.passphrase is not None:
        key = dedent("""\
            2. Put the passphrase into a file that only you can read; type it, then Enter
               and Ctrl-D:

                   (umask 077; cat > passphrase)
            """)
        option = " \\\n                      --passphrase-file passphrase"
    else:
        key = dedent("""\
            2. Bring the secret key; README.txt in the repository says how it is used.
            """)
        option = ""
    return (
        dedent("""\
            On disaster day, on a new machine
            ---------------------------------
            1. Copy the repository's folder from a vault to the machine, here as
               ./repository, and install what reads it:

                   apt-get install postgresql gnupg zstd python3
            """)
        + key
        + dedent(f"""\
            3. Restore with permafrost. It checks every byte, makes the database new and
               refuses to touch one that is there:

                   permafrost restore latest --repository ./repository{option} \\
                      --database {facts.database} --secrets-to ./secrets

               Compare the fingerprint that it prints with the one above.
            4. Without permafrost: ./repository/README.txt explains each step, and
               ./repository/restore.py does them with Python alone.
            5. Before Mastodon starts: put back .env.production from ./secrets and the media
               from the vault, leave Redis empty, and make sure that the old server can
               never come up again beside the new one.
            """)
    )


def _in_groups(fingerprint: str) -> str:
    return " ".join(fingerprint[start : start + 4] for start in range(0, len(fingerprint), 4))
