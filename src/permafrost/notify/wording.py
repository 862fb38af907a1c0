"""Puts news, digests and tests into words: a title of one line, and a body of plain text.

On a vault a finding may quote what its server wrote: nothing in it can add a line, or do anything to a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from permafrost.amounts import count_text
from permafrost.findings import Severity
from permafrost.notify.alert import Alert, Look, most_severe
from permafrost.notify.news import News
from permafrost.printable import printable

MOST_LISTED = 20
"""Some receivers cut or refuse long messages; `permafrost status` has the rest."""
_MOST_LETTERS = 600


@dataclass(frozen=True, slots=True)
class Message:
    """A message to people; `severity` is None for good news."""

    title: str
    body: str
    severity: Severity | None


def news_message(where: str, news: News) -> Message:
    """Return the news about `where`, a server or a vault, as a message."""
    severity = most_severe(news.holding)
    parts = (
        _section("", news.appeared),
        _section("Grew worse:", news.worse),
        _section("Still holds:", news.repeated),
        _ended_section(news),
    )
    return Message(f"{where}: {_news_title(news, severity)}", "\n\n".join(part for part in parts if part), severity)


def digest_message(where: str, look: Look, alerts: tuple[Alert, ...]) -> Message:
    """Return the summary of a look, with what needs attention, or that nothing does."""
    severity = most_severe(alerts)
    need = "needs" if len(alerts) == 1 else "need"
    said = "all is well" if severity is None else f"{count_text(len(alerts), 'finding')} {need} attention"
    body = "\n\n".join(part for part in ("\n".join(look.summary), _section("Needs attention:", alerts)) if part)
    return Message(f"{where}: {said}", body or "Nothing needs attention.", severity)


def recovery_message(where: str, since: datetime) -> Message:
    """Return the message to a receiver that could not be reached, and has missed nothing that still matters."""
    body = f"Nothing could be sent since {since:%Y-%m-%d %H:%M} UTC. What appeared meanwhile has ended again."
    return Message(f"{where}: alerts reach you again", body, None)


def trial_message(where: str, receiver: str) -> Message:
    """Return the message of `permafrost notify test`."""
    body = f"This is a test from permafrost on {where}. Alerts reach the receiver {receiver}."
    return Message(f"{where}: test of alerts", body, None)


def _news_title(news: News, severity: Severity | None) -> str:
    if severity is None:
        return (
            f"ended: {news.ended[0].code}"
            if len(news.ended) == 1
            else f"{count_text(len(news.ended), 'finding')} ended"
        )
    holding = news.holding
    if len(holding) == 1:
        again = " (still)" if news.repeated else ""
        return f"{severity.word}: {holding[0].code}{again}"
    return f"{severity.word}: {count_text(len(holding), 'finding')}"


def _section(heading: str, alerts: tuple[Alert, ...]) -> str:
    if not alerts:
        return ""
    lines = [heading] if heading else []
    for alert in alerts[:MOST_LISTED]:
        lines += [f"{alert.severity.word.upper()} {alert.code}: {_short(alert.message)}", f"  {alert.remedy}"]
    return "\n".join([*lines, *_rest(len(alerts))])


def _ended_section(news: News) -> str:
    if not news.ended:
        return ""
    lines = [f"Ended: {alert.code}: {_short(alert.message)}" for alert in news.ended[:MOST_LISTED]]
    return "\n".join([*lines, *_rest(len(news.ended))])


def _rest(number: int) -> Iterator[str]:
    if number > MOST_LISTED:
        yield f"and {number - MOST_LISTED} more: permafrost status"


def _short(text: str) -> str:
    return printable(text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}...")
