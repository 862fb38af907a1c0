"""A mark in the state folder: the next backup must read everything again, and why.

What a log snapshot says of a row that has not changed comes from objects that earlier runs stored. A drill that finds
an audited snapshot to differ from the database that it was made of has found that one of these is wrong, whatever the
reason, and a `verify` that one is damaged or gone. Either way new bases repair it. The mark stays until a run that read
everything has published its snapshot.
"""

from __future__ import annotations

from pathlib import Path

from permafrost.repository.durable import write_durably
from permafrost.small_files import read_small
from permafrost.state_files import is_no_file, set_aside

_FILE = "start-anew"
_MOST_BYTES = 1 << 16


def distrust(state: Path, reason: str) -> None:
    """Make the next backup read everything again, and say `reason`."""
    if is_no_file(state / _FILE):
        set_aside(state / _FILE)
    write_durably(state / _FILE, f"{reason}\n".encode(), 0o640)


def reason_for_distrust(state: Path) -> str | None:
    """Return why the next backup must read everything again, None if it need not."""
    try:
        text = read_small(state / _FILE, _MOST_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"the mark {state / _FILE} cannot be read: {error.strerror}"
    return text.strip() or "a mark was left in the state folder"


def trust_again(state: Path) -> None:
    """Remove the mark; a snapshot that read everything has been published."""
    if is_no_file(state / _FILE):
        set_aside(state / _FILE)
    (state / _FILE).unlink(missing_ok=True)
