"""What a value of the configuration may be: types that check one value, without looking at any file."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

from permafrost.config.credentials import PREFIX, credential_path
from permafrost.config.device_ids import is_device_id

_SOME_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"must be an absolute path, not {str(path)!r}")
    return path


def _whole_fingerprint(text: str) -> str:
    plain = text.replace(" ", "").upper()
    if len(plain) not in (40, 64) or any(letter not in "0123456789ABCDEF" for letter in plain):
        raise ValueError(f"{text!r} is not a full fingerprint of 40 (or 64) hexadecimal digits")
    return plain


def _cron_expression(text: str) -> str:
    if text == "off":
        return text
    if len(text.split()) != 5:
        raise ValueError('must be a cron expression of five fields, like "40 * * * *", or "off"')
    try:
        comes = next(CronSim(text, _SOME_MOMENT), None)
    except CronSimError as error:
        raise ValueError(f"{text!r} is not a cron expression: {str(error).lower()}") from error
    if comes is None:
        raise ValueError(f"{text!r} never occurs")
    return text


def _table_in_schema(text: str) -> str:
    if not all(text.split(".")) or text.count(".") != 1:
        raise ValueError(f"{text!r} is not a table with its schema, like public.notes")
    return text


def _absolute_or_credential(path: Path) -> Path:
    text = str(path)
    return credential_path(text.removeprefix(PREFIX), os.environ) if text.startswith(PREFIX) else _absolute(path)


def _whole_device_id(text: str) -> str:
    if not is_device_id(text):
        raise ValueError(
            "is not a Syncthing device id: eight groups of seven letters A-Z and digits 2-7, of which some are check "
            "letters; copy it again"
        )
    return text


def _public_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("must be the address below which media are served, like https://files.example.social")
    if parts.username is not None or parts.password is not None or "?" in text or "#" in text:
        raise ValueError("must be an address alone, without credentials, ? or #")
    return text.rstrip("/")


# pydantic would take "2" for 2 and "yes" for true; TOML has types of its own, so a quoted number is a mistake
Count = Annotated[int, Field(ge=0, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Fingerprint = Annotated[str, AfterValidator(_whole_fingerprint)]
TableInSchema = Annotated[str, AfterValidator(_table_in_schema)]
CronExpression = Annotated[str, AfterValidator(_cron_expression)]
GuiAddress = Annotated[str, Field(pattern=r"^(.+:[0-9]{1,5}|/.+)$")]
SecretFile = Annotated[Path, AfterValidator(_absolute_or_credential)]
"""A secret's file: an absolute path, or `credential:NAME` for one that the service manager passes."""
DeviceId = Annotated[str, AfterValidator(_whole_device_id)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]
"""A server's or a vault's name; it may become a folder's, so it can neither be hidden nor lead elsewhere."""
DeviceAddress = Annotated[str, Field(pattern=r"^(?:dynamic|(?:tcp[46]?|quic[46]?|relay)://[!-~]{1,200})$")]
PublicUrl = Annotated[str, Field(max_length=500), AfterValidator(_public_url)]
"""The address below which media are served, without a slash at its end; a file's path is added to it."""
