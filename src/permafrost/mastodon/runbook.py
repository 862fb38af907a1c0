"""The runbook after a restore: what brings Mastodon back, in which order, with this snapshot's own names.

Text from facts alone. The steps follow Mastodon's documentation and source (4.1 to 4.6, `docs/admin/migrating`,
`lib/mastodon/cli`). The facts contain no secret, so none can get into the text.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime
from textwrap import fill

from permafrost.documents.restore import RunbookStepDocument
from permafrost.mastodon.layouts import MastodonLayout, layout_of
from permafrost.mastodon.secrets import SINCE_4_3
from permafrost.postgres.connection import for_database, named_database, names_server

_WIDTH = 80
_REPOSITORY = "https://github.com/mastodon/mastodon.git"


@dataclass(frozen=True, slots=True)
class RunbookFacts:
    """What the runbook is about; None where the snapshot does not say.

    `missing` says in words what the database lacks, and `missing_list` is the SQL that finishes it.
    `secret_files` has for each its path now, and its path on the server; `kept_as` is the new name of the database
    that was replaced, None if none was.
    """

    snapshot: str
    made_at: datetime
    source_database: str
    database: str
    owner: str
    postgresql_major: int
    mastodon_version: str | None = None
    schema_version: str | None = None
    local_domain: str | None = None
    web_domain: str | None = None
    secret_names: tuple[str, ...] = ()
    secret_files: tuple[tuple[str, str], ...] = ()
    has_secrets: bool = False
    kept_as: str | None = None
    server: str = ""
    """The connection string of the server that `database` is on, without passwords; empty for psql's own server."""
    is_rehearsal: bool = False
    """Whether the source's own database exists on the same server, untouched: then nothing else must be touched."""
    missing: tuple[str, ...] = ()
    missing_list: str | None = None
    layout: str | None = None
    """How Mastodon was installed (mastodon/layouts.py), None for its own guide; `folder` if it is not the usual one."""
    folder: str | None = None
    media: str | None = None
    """The folder with the media that the restore has laid out, None if it has not."""

    @property
    def installed(self) -> MastodonLayout:
        """Return how Mastodon was installed, and so how it is brought up again."""
        return layout_of(self.layout, self.folder)


@dataclass(frozen=True, slots=True)
class RunbookStep:
    """One step: a title, what to know, and the commands, each one line."""

    title: str
    text: str
    commands: tuple[str, ...] = ()

    def document(self) -> RunbookStepDocument:
        """Return it for JSON."""
        return RunbookStepDocument(self.title, self.text, self.commands)


@dataclass(frozen=True, slots=True)
class Runbook:
    """The steps in their order, and what not to do."""

    facts: RunbookFacts
    steps: tuple[RunbookStep, ...]
    warnings: tuple[str, ...]

    def text(self) -> str:
        """Return it as text to print or to read, 80 columns wide; lines that begin with four spaces are commands."""
        facts = self.facts
        title = f"Runbook for {facts.local_domain or facts.database}"
        if facts.is_rehearsal:
            title = f"Rehearsal: {facts.database} is a copy next to the live database {facts.source_database}"
        moment = facts.made_at.astimezone()
        purpose = (
            f"The live database {facts.source_database} is untouched, and nothing of this is urgent. Run commands as a "
            f"user who may use {facts.database}."
            if facts.is_rehearsal
            else f"These steps bring Mastodon back, in this order. Run commands {facts.installed.how_to_run}."
        )
        head = (
            f"Snapshot {facts.snapshot} of the database {facts.source_database} (made {moment:%Y-%m-%d %H:%M:%S %z}) "
            f"has been restored into the database {facts.database}. {purpose}"
        )
        parts = [title, "=" * len(title), "", fill(head, _WIDTH), "", "What not to do", "-" * 14, ""]
        parts += [_paragraph(f"- {warning}", "  ") for warning in self.warnings]
        parts += ["", "What to do", "-" * 10, ""]
        for number, step in enumerate(self.steps, 1):
            parts.append(_paragraph(f"{number}. {step.title}. {step.text}", "   "))
            parts += ["", *(f"    {command}" for command in step.commands), ""] if step.commands else [""]
        return "\n".join(parts).rstrip("\n") + "\n"


def _paragraph(text: str, indent: str) -> str:
    return fill(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def runbook(facts: RunbookFacts) -> Runbook:
    """Return what a human must do after the restore that `facts` describe, in order, and what never to do."""
    if facts.is_rehearsal:
        return Runbook(facts, _rehearsal(facts), (_REHEARSAL_WARNING,))
    steps = (
        *([_finish(facts)] if facts.missing else []),
        _fence(facts),
        _code(facts),
        _secrets(facts),
        _connection(facts),
        *_before_the_start(facts.installed, facts.media),
        *_start(facts.installed),
        *_refill(facts.installed.tootctl),
        _backups(facts),
    )
    return Runbook(facts, steps, _warnings(facts))


def _before_the_start(installed: MastodonLayout, media: str | None) -> tuple[RunbookStep, ...]:
    return (
        RunbookStep(
            "Bring the media back",
            f"Copy {'what was laid out' if media else 'what the vault keeps'}, with the modes: files of suspended "
            "accounts are 0600 and must stay so, and nginx must be able to read all others. An object store that has "
            "lost them gets them back by: permafrost media push --from DIR --bucket S3_BUCKET --credentials FILE. "
            "A bucket that holds the backups has no media: take them from a vault, or from a copy of your own.",
            (installed.copy_media(media),),
        ),
        RunbookStep(
            "Leave Redis empty",
            "It holds feeds, which are rebuilt below, and queues: old queues would deliver old messages again. "
            f"{installed.redis}",
            installed.empty_redis,
        ),
        RunbookStep("Migrate only if the code is newer than the database", installed.migration, installed.migrate),
    )


def _start(installed: MastodonLayout) -> tuple[RunbookStep, ...]:
    return (
        RunbookStep(
            "Start web and streaming, but not yet Sidekiq",
            "Log in with two-factor authentication, open a local picture, look up an account on another server. "
            "Then nginx, certificates and DNS.",
            installed.start_web,
        ),
        RunbookStep("Start Sidekiq", installed.sidekiq, installed.start_sidekiq),
    )


def _refill(tootctl: str) -> tuple[RunbookStep, ...]:
    """Return the steps that bring back what is in no backup, or can be counted again."""
    return (
        RunbookStep("Rebuild the home feeds", "They were in Redis. This may take hours.", (f"{tootctl} feeds build",)),
        RunbookStep("Rebuild the search index", "Only if you use Elasticsearch.", (f"{tootctl} search deploy",)),
        RunbookStep(
            "Fetch remote media again",
            "If cache/ was not backed up, the database refers to files that do not exist, and Mastodon fetches only "
            "what it believes to be missing. So tell it first; the last command then brings back avatars and headers.",
            (
                f"{tootctl} media remove --days=0",
                f"{tootctl} media remove --days=0 --prune-profiles --include-follows",
                f"{tootctl} preview_cards remove --days=0",
                f"{tootctl} emoji purge --remote-only",
                f"{tootctl} accounts refresh --all",
            ),
        ),
        RunbookStep(
            "If counters look wrong",
            "Posts and followers can be counted again.",
            (f"{tootctl} cache recount accounts", f"{tootctl} cache recount statuses"),
        ),
    )


_REHEARSAL_WARNING = (
    "Never let a Mastodon that can reach the network use this database, not even for a test: two servers with the same "
    "name send contradictory messages to the fediverse."
)


def _rehearsal(facts: RunbookFacts) -> tuple[RunbookStep, ...]:
    on = shlex.quote(for_database(facts.server, facts.database))
    made_from = shlex.quote(for_database(facts.server, named_database(facts.server) or "postgres"))
    check = f"permafrost check {shlex.quote(facts.database)} --env-file {facts.installed.settings_file}"
    quoted = '"' + facts.database.replace('"', '""') + '"'
    return (
        *([_finish(facts)] if facts.missing else []),
        RunbookStep(
            "Look at it",
            "Count what you know: the numbers are those of the snapshot's moment.",
            (f"psql -d {on} -c 'SELECT count(*) FROM accounts'",),  # noqa: S608 - a count, of a fixed table
        ),
        RunbookStep(
            "Have it examined",
            "This holds secrets and media against it, and changes nothing.",
            (f"{check} --server {on}" if names_server(facts.server) else check,),
        ),
        RunbookStep(
            "Drop it",
            f"It takes as much room as {facts.source_database}. On disaster day the runbook says how to bring Mastodon "
            "back; docs/how-to/disaster-day.md has the whole path.",
            (f"psql -d {made_from} -c {shlex.quote(f'DROP DATABASE {quoted}')}",),
        ),
    )


def _finish(facts: RunbookFacts) -> RunbookStep:
    parts = f"{len(facts.missing)} {'part' if len(facts.missing) == 1 else 'parts'}"
    first = facts.missing[0].splitlines()[0]
    return RunbookStep(
        "Finish the database, which is NOT WHOLE",
        f"The restore left out {parts} that PostgreSQL refused, first: {first}. The list has each with its reason and "
        "the SQL to run, in order; refused rows lie beside it. Do this before Mastodon is started: without a unique "
        "index it makes more duplicates.",
        (f"less {shlex.quote(facts.missing_list)}",) if facts.missing_list else (),
    )


def _fence(facts: RunbookFacts) -> RunbookStep:
    name = facts.local_domain or "this name"
    text = (
        f"No other machine may be {name}: switch the old one off, and take away its address. Two servers with the same "
        "name send contradictory messages to the fediverse."
    )
    return RunbookStep("Make sure that the old server never comes up again", text)


def _code(facts: RunbookFacts) -> RunbookStep:
    installed = facts.installed
    unprepared = "Run neither mastodon:setup nor db:setup: the database already exists."
    if installed.install:
        unprepared = f"{installed.install} {unprepared}"
    migration = f"The newest migration in the database is {facts.schema_version}. " if facts.schema_version else ""
    clone = f"git clone {_REPOSITORY} {installed.clone_to or 'mastodon'}"
    if facts.mastodon_version:
        branch = f"git clone --branch {shlex.quote(f'v{facts.mastodon_version}')} {_REPOSITORY} {installed.clone_to}"
        return RunbookStep(
            f"Install Mastodon {facts.mastodon_version}",
            f"This version was running when the snapshot was made. {migration}{unprepared}",
            (branch,) if installed.clone_to else installed.install_commands,
        )
    if facts.schema_version:
        pattern = f"db/*migrate/{facts.schema_version}_*"
        find = f"git tag --contains $(git log --all --diff-filter=A --format=%H -- {shlex.quote(pattern)} | tail -n 1)"
        return RunbookStep(
            "Install the same version of Mastodon",
            f"{migration}The oldest version that has it is the first that git tag lists, in the clone; "
            f"if you know that a newer one was running, install that. {unprepared}",
            (clone, f"{find} | sort -V", *installed.install_commands),
        )
    return RunbookStep(
        "Install the same version of Mastodon",
        f"The snapshot does not say which: no migrations were found in it. {unprepared}",
        installed.install_commands,
    )


def _secrets(facts: RunbookFacts) -> RunbookStep:
    domains = [
        f"{name}={value}"
        for name, value in (("LOCAL_DOMAIN", facts.local_domain), ("WEB_DOMAIN", facts.web_domain))
        if value
    ]
    kept = f"{' and '.join(domains)} must stay as they are. " if domains else "LOCAL_DOMAIN must stay as it was. "
    needed = [name for name in SINCE_4_3 if name in facts.secret_names]
    keys = f"So must the old values of {', '.join(needed)}. " if needed else ""
    caution = "If SELF_DESTRUCT is set in the file, remove it."
    title = "Put the secrets back before you start anything"
    if facts.secret_files:
        return RunbookStep(title, f"{kept}{keys}{caution}", facts.installed.put_back(facts.secret_files))
    if facts.has_secrets:
        text = "The snapshot has them: if they are not in place, repeat the restore into another database name, with "
        return RunbookStep(title, f"{text}--secrets-to DIR. {kept}{keys}{caution}")
    lost = f"Without {facts.installed.secrets} nobody can log in with two-factor authentication, "
    text = f"This snapshot has none. {lost}and since Mastodon 4.7 the server loses its identity. {kept}{caution}"
    return RunbookStep(title, text)


def _connection(facts: RunbookFacts) -> RunbookStep:
    text = (
        f"{facts.installed.database_setting} must name {facts.database}, and the user there must be a role that may "
        f"use it; its owner was {facts.owner}. PostgreSQL must be {facts.postgresql_major} or newer; statistics and "
        "materialized views are up to date."
    )
    return RunbookStep("Let Mastodon find the database", text)


def _backups(facts: RunbookFacts) -> RunbookStep:
    text = (
        "Set permafrost up again, with its vaults and its buckets, and keep the copy that this came from until new "
        "snapshots are verified. In a bucket the new repository has a folder of its own; the old one stays there while "
        "its locks hold. Write the new addresses onto the new recovery sheet."
    )
    if facts.kept_as:
        text += f" The previous database is now {facts.kept_as}: drop it when you are sure."
    return RunbookStep("Back up again", text)


def _warnings(facts: RunbookFacts) -> tuple[str, ...]:
    moment = facts.made_at.astimezone()
    return (
        (
            "Never run two live copies of one server, not even for a test. A test copy needs a machine without "
            "outgoing network access, and no Sidekiq."
        ),
        "Never restore an old Redis dump: its queues would be delivered a second time.",
        (
            "Never run tootctl media remove-orphans before you know that database and media match: it deletes every "
            "file whose row is missing."
        ),
        (
            "Never run tootctl self-destruct, accounts delete or domains purge unless you are sure: with Sidekiq "
            "running they notify the fediverse."
        ),
        (
            f"What was posted and followed after {moment:%Y-%m-%d %H:%M:%S %z} exists only on other servers, and "
            "nothing brings all of it back."
        ),
    )
