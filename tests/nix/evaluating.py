"""Evaluates nix/ as NixOS would, and writes units as NixOS does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
NIX = HERE.parent.parent / "nix"
STORE = "/nix/store/00000000000000000000000000000000-"  # of what the stand-in for nixpkgs builds
INSTANTIATE = shutil.which("nix-instantiate")
needs_nix = pytest.mark.skipif(INSTANTIATE is None, reason="nix-instantiate is not installed (Debian: nix-bin)")

TREE = os.environ.get("PERMAFROST_NIXPKGS")
"""A folder with `lib` and `nixos` of nixpkgs, whose real modules are then used instead of the stand-in."""

MASTODON = "services.mastodon.enable = true; services.permafrost.enable = true;"
DEVICE_ID = "7DSWSKM-FDN56EF-PAOP2N2-OO7OMFD-KSC53JD-XI6KMGI-QY34KJ4-UI2SWAO"


class Refused(Exception):  # noqa: N818  # it is what a type says, and no error of ours
    """A value was of a wrong type, which ends an evaluation."""


def nix(expression: str) -> Any:  # noqa: ANN401  # an expression may be of any type
    """Return what the expression is, as JSON holds it; raise `Refused` with what Nix says if it is none."""
    words = [str(INSTANTIATE), "--store", "dummy://", "--eval", "--strict", "--json", "--expr", expression]
    finished = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    if finished.returncode != 0:
        raise Refused(finished.stderr)
    return json.loads(finished.stdout)


def evaluated(given: str) -> dict[str, Any]:
    """Return what tests/nix/told.nix tells of a system with these definitions."""
    system = f"import {HERE}/real.nix {{ tree = {TREE};" if TREE else f"import {HERE}/small.nix {{"
    told: dict[str, Any] = nix(f"{system} given = {{ {given} }}; }}")
    return told


def unit_text(unit: Mapping[str, Any], programs: Mapping[str, str]) -> str:
    """Return the unit as a file, with the store's programs replaced by those that this machine has."""
    lines = []
    for section, settings in (("Unit", unit["unit"]), ("Service", unit["service"])):
        lines.append(f"[{section}]")
        for key, value in settings.items():
            values = value if isinstance(value, list) else [value]
            lines += [f"{key}={str(one).lower() if isinstance(one, bool) else one}" for one in values]
    text = "\n".join(lines) + "\n"
    for ours, theirs in programs.items():
        text = text.replace(STORE + ours, theirs)
    return text
