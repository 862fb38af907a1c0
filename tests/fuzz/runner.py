"""Runs commands in this process on a folder of real files, one of which is changed in each case.

Started by `tests.fuzz.test_fuzz` with a plan (JSON) on stdin; prints one JSON line for each command of each case. A
command that hangs ends the process with every thread's stack; memory is limited by the kernel.
"""

from __future__ import annotations

import faulthandler
import gc
import io
import json
import resource
import runpy
import shutil
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from permafrost.cli.main import main
from permafrost.events import ignore_events
from permafrost.vault.settings import open_vault
from permafrost.vault_keeping.keeper import Keeper
from tests.fuzz.mutations import change_row, changed
from tests.fuzz.signed_lies import Signer, lie
from tests.fuzz.strange import STRANGE

MOST_MEMORY_BYTES = 1 << 30
MOST_S = 60


def keep(root: str) -> None:
    """Do some turns of a vault's service, as `permafrost vault run` does."""
    from permafrost.cli.shared.options import reporting  # noqa: PLC0415 - the frame of every command

    def turns(_rendering: object) -> None:
        with Keeper(open_vault(Path(root)), None, ignore_events) as keeper:
            for _ in range(2):
                keeper.turn()

    reporting(turns)()


def started(words: list[str]) -> None:
    """Do what a command's words say."""
    if words[0] == "turn":
        keep(words[1])
    elif words[0].endswith("restore.py"):
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
    else:
        main(words, prog_name="permafrost")


def ended(words: list[str], typed: bytes) -> tuple[int, str]:
    """Return a command's exit code and what it wrote; somebody types something."""
    out, code = io.StringIO(), 0
    faulthandler.dump_traceback_later(MOST_S, exit=True)
    sys.stdin = io.TextIOWrapper(io.BytesIO(typed), encoding="utf-8")
    try:
        with redirect_stdout(out), redirect_stderr(out):
            started(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
        out.write("" if isinstance(end.code, int) else str(end.code))
    finally:
        faulthandler.cancel_dump_traceback_later()
        gc.unfreeze()  # each command freezes what is there: here that would keep what earlier ones have left
        gc.collect()
    return code, out.getvalue()


def change(file: Path, others: list[Path], at: Random) -> str:
    """Change the file in some way, and return how."""
    if at.random() < 0.12:
        put = at.choice(STRANGE)
        file.unlink()
        put(file)
        return put.__name__
    if file.suffix == ".sqlite" and at.random() < 0.8:
        return change_row(file, at)
    content = file.read_bytes()
    how, after = changed(file.name, content, [other.read_bytes() for other in others], at)
    file.unlink()
    file.write_bytes(after)
    file.chmod(0o600)
    return how if after != content else "nothing"


def typed_by_somebody(plan: dict[str, Any], at: Random) -> tuple[str, bytes]:
    """Return what is typed, and what is wrong with it."""
    right = str(plan["typed"]).encode()
    return changed("typed", right, [b"\n", b"\xff\xfe\n", b"x" * 5_000_000, right.lower()], at)


def make(root: Path, files: list[Path], plan: dict[str, Any], at: Random) -> tuple[str, str]:
    """Change a file below `root`, or what a server has signed there; return which, and how."""
    signer = plan["signer"]
    if signer is not None and at.random() < plan["lies"]:
        try:
            return lie(Path(plan["repository"]), Signer(**signer), at)
        except (OSError, ValueError, KeyError) as error:  # the pristine files are sound, so this is a defect of ours
            raise SystemExit(f"the fuzzer cannot lie: {error!r}") from error
    file = at.choice(files)
    return str(file), change(root / file, [root / other for other in files], at)


def run(plan: dict[str, Any]) -> None:
    """Run all cases of the plan."""
    root, pristine = Path(plan["root"]), Path(plan["pristine"])
    files = [Path(name) for name in plan["files"]]
    for number in range(plan["first"], plan["first"] + plan["cases"]):
        at = Random(f"{plan['seed']} {number}")
        shutil.rmtree(root)
        subprocess.run(("cp", "--archive", str(pristine), str(root)), check=True)
        if plan["typed"]:
            file, (how, typed) = "what is typed", typed_by_somebody(plan, at)
        else:
            (file, how), typed = make(root, files, plan, at), b""
        for words in plan["commands"]:
            begun = time.monotonic()
            code, wrote = ended(words, typed)
            line = {"case": number, "file": file, "how": how, "words": words, "code": code, "wrote": wrote}
            sys.__stdout__.write(json.dumps({**line, "s": time.monotonic() - begun}) + "\n")  # type: ignore[union-attr]


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    sys.stderr.write(f"{datetime.now(UTC)}\n")
    run(json.loads(sys.stdin.read()))
