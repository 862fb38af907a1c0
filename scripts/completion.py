"""Completion of the command line for bash, zsh and fish: click's own scripts, which ask permafrost what fits."""

from __future__ import annotations

from click.shell_completion import get_completion_class

from scripts.command_tree import PROGRAM, root

VARIABLE = "_PERMAFROST_COMPLETE"
PLACES = {
    "bash": "usr/share/bash-completion/completions/permafrost",
    "zsh": "usr/share/zsh/vendor-completions/_permafrost",
    "fish": "usr/share/fish/vendor_completions.d/permafrost.fish",
}
"""Where each shell looks for what packages bring."""


def completion(shell: str) -> str:
    """Return the script for this shell."""
    found = get_completion_class(shell)
    if found is None:
        raise ValueError(f"click has no completion for {shell}")
    return found(root().command, {}, PROGRAM, VARIABLE).source()
