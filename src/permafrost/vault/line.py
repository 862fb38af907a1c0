"""A document as one printable line, for copying from one machine to another: prefix, base64url, and a checksum.

The prefix says what the line is for, and its version. The checksum tells a line that was cut or mistyped from one that
was made up; it is no protection against the latter.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from permafrost.errors import UsageError

_CHECKSUM_LETTERS = 8
_LONGEST_LINE = 8192
Document = TypeVar("Document", bound=BaseModel)


def write_line(prefix: str, document: BaseModel) -> str:
    """Return the document as a line: one word, that a shell and a URL take as it is."""
    content = encode(document.model_dump_json().encode("utf-8"))
    return f"{prefix}{content}.{checksum_of(prefix, content)}"


def read_line(prefix: str, line: str, kind: type[Document], *, ask_again: str) -> Document:
    """Return the document in `line`; blanks and line breaks that mail or a terminal put in do not matter.

    Raise `UsageError`, with the hint `ask_again`, if it is none, was cut or mistyped, or is not valid.
    """
    letters = "".join(line.split())
    if not letters.startswith(prefix) or len(letters) > _LONGEST_LINE:
        what = f"not an invitation: {prefix}... was expected, this is {_guess(prefix, letters)}"
        raise UsageError(f"this is {what}", hint=ask_again)
    content, _, checksum = letters.removeprefix(prefix).partition(".")
    if not hmac.compare_digest(checksum.encode(), checksum_of(prefix, content).encode()):
        raise UsageError("the invitation is truncated or mistyped: its checksum is wrong", hint=ask_again)
    try:
        return kind.model_validate_json(_decode(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"the invitation is not valid: {where}: {first['msg']}", hint=ask_again) from None
    except (binascii.Error, ValueError) as error:
        raise UsageError("the invitation cannot be decoded", hint=ask_again) from error


def checksum_of(prefix: str, content: str) -> str:
    """Return the letters at the end of a line."""
    digest = hashlib.sha256((prefix + content).encode("utf-8")).digest()
    return base64.b32encode(digest).decode("ascii")[:_CHECKSUM_LETTERS].lower()


def encode(content: bytes) -> str:
    """Return the bytes in base64url without padding."""
    return base64.urlsafe_b64encode(content).decode("ascii").rstrip("=")


def _guess(prefix: str, letters: str) -> str:
    family = prefix.rsplit("-", 1)[0]
    if letters.startswith(f"{family}-"):
        return "of another permafrost release"
    return "a line for another command" if letters.startswith("permafrost-") else "none"


def _decode(content: str) -> bytes:
    return base64.b64decode(content + "=" * (-len(content) % 4), altchars=b"-_", validate=True)
