"""Text from elsewhere, made safe to show: what a terminal or a browser would act on becomes a question mark."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text with a question mark for whatever a terminal would do something else with than print it.

    That covers control characters, line ends, and marks that change the direction of the text behind them.
    """
    return "".join(letter if letter.isprintable() else "?" for letter in text)
