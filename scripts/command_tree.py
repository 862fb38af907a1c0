"""The commands of permafrost as documents need them: the reference, man pages and completion are made from these."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import click

from permafrost.cli.main import main as root_command

PROGRAM = "permafrost"


class Command(NamedTuple):
    """A command with its context, which knows its path."""

    command: click.Command
    context: click.Context

    @property
    def path(self) -> str:
        """The words that call it."""
        return self.context.command_path

    @property
    def usage(self) -> str:
        """The words that call it, and what follows them."""
        return " ".join([self.path, *self.command.collect_usage_pieces(self.context)])

    def options(self) -> Iterator[tuple[str, str]]:
        """Yield its options that are not hidden, each with its meaning; arguments are explained by the help."""
        for parameter in self.command.params:
            record = parameter.get_help_record(self.context)
            if record is not None and record[1]:
                yield record

    def children(self) -> Iterator[Command]:
        """Yield the commands in it, if it is a group, in their order."""
        if isinstance(self.command, click.Group):
            for name in self.command.list_commands(self.context):
                child = self.command.get_command(self.context, name)
                assert child is not None  # noqa: S101 - it was listed
                yield Command(child, click.Context(child, info_name=name, parent=self.context))

    def tree(self) -> Iterator[Command]:
        """Yield itself and everything below."""
        yield self
        for child in self.children():
            yield from child.tree()


class Paragraph(NamedTuple):
    """A paragraph of a help text; of code it has its lines as they are, without common indentation."""

    text: str
    is_code: bool


def root() -> Command:
    """Return the root command."""
    return Command(root_command, click.Context(root_command, info_name=PROGRAM, **root_command.context_settings))


def paragraphs(text: str) -> Iterator[Paragraph]:
    """Yield a help text's paragraphs; indented lines of those that click must not wrap are code."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if not paragraph.startswith("\b"):
            yield Paragraph(paragraph, is_code=False)
            continue
        lines = paragraph.removeprefix("\b").strip("\n").split("\n")
        for is_code, group in groupby(lines, key=lambda line: line.startswith(" ")):
            yield Paragraph(textwrap.dedent("\n".join(group)), is_code)
