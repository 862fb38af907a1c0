"""Writes man pages from the command tree, one for each command: permafrost-vault-join(1).

They say what --help says. `make deb` packages them; `python -m scripts.man_pages FOLDER` writes them elsewhere.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from permafrost import __version__
from scripts.command_tree import Command, Paragraph, paragraphs, root

_SPECIAL = str.maketrans({"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"})
_LITERAL = re.compile(r"`([^`]+)`")
_DOCUMENTS = "/usr/share/doc/permafrost/docs"


def man_pages(date: datetime) -> dict[str, str]:
    """Return the pages by file name; `date` is in their footers."""
    return {f"{_name(command)}.1": _page(command, date) for command in root().tree()}


def _page(command: Command, date: datetime) -> str:
    name = _name(command)
    return (
        "\n".join(
            [
                f'.TH {_escaped(name.upper())} 1 "{_escaped(str(date.date()))}" "permafrost {__version__}"',
                ".SH NAME",
                rf"{_escaped(name)} \- {_escaped(_purpose(command))}",
                ".SH SYNOPSIS",
                rf"\fB{_escaped(command.path)}\fR {_escaped(command.usage.removeprefix(command.path).strip())}",
                ".SH DESCRIPTION",
                *_text(command.command.help or ""),
                ".SH OPTIONS",
                *_options(command),
                *_commands(command),
                *_epilog(command),
                *_where(command),
            ]
        )
        + "\n"
    )


def _name(command: Command) -> str:
    return command.path.replace(" ", "-")


def _purpose(command: Command) -> str:
    first = " ".join((command.command.help or "").split("\n\n")[0].split())
    return first.split(". ")[0].removesuffix(".").replace("`", "")


def _escaped(text: str) -> str:
    escaped = text.translate(_SPECIAL)
    return rf"\&{escaped}" if escaped.startswith((".", r"\(aq")) else escaped


def _running(text: str) -> str:
    """Return a paragraph's words in one line, with what is between backquotes in bold."""
    parts = _LITERAL.split(" ".join(text.split()))
    marked = (rf"\fB{_escaped(part)}\fR" if number % 2 else _escaped(part) for number, part in enumerate(parts))
    return "".join(marked)


def _text(text: str) -> Iterator[str]:
    for paragraph in paragraphs(text):
        yield from _paragraph(paragraph)


def _paragraph(paragraph: Paragraph) -> Iterator[str]:
    if not paragraph.is_code:
        yield from (".PP", _running(paragraph.text))
        return
    yield from (".PP", ".RS 4", ".nf")
    yield from map(_escaped, paragraph.text.split("\n"))
    yield from (".fi", ".RE")


def _options(command: Command) -> Iterator[str]:
    for words, meaning in command.options():
        yield from (".TP", rf"\fB{_escaped(words)}\fR", _running(meaning))


def _commands(command: Command) -> Iterator[str]:
    for number, child in enumerate(command.children()):
        if number == 0:
            yield ".SH COMMANDS"
        yield from (".TP", rf"\fB{_escaped(_name(child))}\fR(1)", _escaped(_purpose(child)))


def _epilog(command: Command) -> Iterator[str]:
    text = command.command.epilog or ""
    if "Example" in text:
        yield ".SH EXAMPLES"
    yield from _text(re.sub(r"Examples?:\n", "", text))


def _where(command: Command) -> Iterator[str]:
    if command.context.parent is None:
        yield from (".SH FILES", ".TP", r"\fI/etc/permafrost/permafrost.toml\fR", "The server's configuration.")
        yield from (".TP", rf"\fI{_DOCUMENTS}\fR", "All documents: configuration, findings, exit codes, guides.")
    yield ".SH SEE ALSO"
    above = command.context.parent.command_path.replace(" ", "-") if command.context.parent else "gpg"
    yield rf"\fB{_escaped(above)}\fR(1)"


def main() -> None:
    """Write the pages into the folder that the first argument names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in man_pages(datetime.now(UTC)).items():
        (folder / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
