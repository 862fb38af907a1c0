"""The command lines of Syncthing 1.19 and later 1.x, and of 2.x.

They differ in few words: 1.x makes a default folder and probes for ports unless told otherwise by
`--no-default-folder --skip-port-probing`; 2.x has no default folder, and calls the other `--no-port-probing`. What 1.x
calls `--reset-deltas` is `--debug-reset-delta-idxs` in 2.x.
2.x refuses options that it does not know, so the version is asked first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from permafrost.errors import ToolError
from permafrost.processes.program import Program
from permafrost.processes.run import run_checked

OLDEST = (1, 19)
ANSWER_S = 20.0
_VERSION = re.compile(r"^syncthing v(\d+)\.(\d+)\.(\d+)", re.MULTILINE)
# Without these, an upstream build replaces itself; 1.x reads only some of them, hence the options as well.
# 2.x forgets deletions after 15 months (six in 2.0.0), and a vault that was off for longer would bring back what was
# pruned. A hundred years, as zero is "never" in its releases but a day in its release candidates (db_open.go,
# minDeleteRetention). 1.x never forgets, and knows no such variable.
# Unless told which, 1.x measures two implementations of SHA-256 at each start, for a second of CPU time. This one wins
# always, and itself falls back to Go's where the processor has nothing for it. 2.x has only one.
_ENVIRONMENT = {
    "STNOUPGRADE": "1",
    "STNORESTART": "1",
    "STNODEFAULTFOLDER": "1",
    "STDBDELETERETENTIONINTERVAL": "876000h",
    "STHASHING": "minio",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the `syncthing` at `program`, of that version, takes its options."""

    program: str
    version: tuple[int, int, int]

    def generate(self, home: Path, user: str) -> Program:
        """Return the program that makes keys and a config.xml in `home`; it reads the GUI's password from stdin."""
        probing = ("--no-default-folder", "--skip-port-probing") if self._is_first else ("--no-port-probing",)
        login = ("--gui-user", user, "--gui-password", "-")
        return self._program("generate", "--home", str(home), *probing, *login)

    def serve(self, home: Path) -> Program:
        """Return the program that runs the instance of `home` in the foreground.

        It begins with whole lists of its files: a machine that was put back to an older image would else number its
        news as others have already seen numbers, and they would never ask for it.
        """
        whole_lists = "--reset-deltas" if self._is_first else "--debug-reset-delta-idxs"
        quiet = ("--no-browser", "--no-restart", "--no-upgrade")
        return self._program("serve", "--home", str(home), *quiet, whole_lists)

    def device_id(self, home: Path) -> Program:
        """Return the program that prints the device id of `home`."""
        if self._is_first:
            return self._program("serve", "--home", str(home), "--device-id")
        return self._program("device-id", "--home", str(home))

    @property
    def _is_first(self) -> bool:
        return self.version[0] == 1

    def _program(self, *words: str) -> Program:
        return Program((self.program, *words), environment=_ENVIRONMENT)


def detect_dialect(program: str = "syncthing") -> Dialect:
    """Return the dialect of `program`, by its version; raise `ToolError` if it is none or too old."""
    said = run_checked(Program((program, "--version"), environment=_ENVIRONMENT), timeout_s=ANSWER_S)
    match = _VERSION.search(said.decode("utf-8", "replace"))
    if match is None:
        raise ToolError(f"{program} does not report its version", hint=f"try: {program} --version")
    major, minor, patch = (int(part) for part in match.groups())
    if (major, minor) < OLDEST:
        raise ToolError(
            f"Syncthing {major}.{minor}.{patch} is too old",
            hint=f"permafrost needs {OLDEST[0]}.{OLDEST[1]} or newer, as in Debian 12",
        )
    return Dialect(program, (major, minor, patch))
