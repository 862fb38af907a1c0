"""Makes Debian packages in dist/, for each release and architecture or those named: `python -m scripts.deb 12-amd64`.

Builds on any Linux, without root. The same sources give the same bytes: $SOURCE_DATE_EPOCH, or the time of the last
commit, is the time of every file. $DEBFULLNAME and $DEBEMAIL name who builds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from permafrost import __version__
from scripts.completion import PLACES, completion
from scripts.deb_documents import write_documents
from scripts.private_environment import HOME, ROOT, Target, make_environment, uv

DESCRIPTION = ROOT / "packaging/debian/nfpm.yaml"
DIST = ROOT / "dist"
_RELEASES = ((12, "bookworm", (3, 11)), (13, "trixie", (3, 13)))
_ARCHITECTURES = ("amd64", "arm64")
_NOBODY = "permafrost's authors <permafrost@example.invalid>"
_UNIT_PROGRAM = "/usr/local/bin/permafrost"


def targets() -> dict[str, Target]:
    """Return what packages can be made for, by name."""
    made = (Target(*release, architecture) for release, architecture in product(_RELEASES, _ARCHITECTURES))
    return {f"{target.debian}-{target.architecture}": target for target in made}


def revision(target: Target) -> str:
    """Return the package's revision: that of a newer release of Debian is higher, so upgrading Debian upgrades it."""
    return f"1~deb{target.debian}"


def build(target: Target, folder: Path, date: datetime, version: str = __version__) -> Path:
    """Make the package for this target in `folder`, and return its path."""
    with TemporaryDirectory(prefix="permafrost-deb-") as scratch:
        staged = Path(scratch) / "staged"
        packages = make_environment(target, staged, Path(scratch))
        write_documents(target, staged, packages, f"{version}-{revision(target)}", _maintainer(), date)
        _write_system_files(staged)
        _make_alike(staged, date)
        file = folder / f"permafrost_{version}-{revision(target)}_{target.architecture}.deb"
        _package(file, variables(target, staged, date, version))
        return file


def variables(target: Target, staged: Path, date: datetime, version: str) -> dict[str, str]:
    """Return what the description in packaging/debian/nfpm.yaml asks for."""
    major, minor = target.python
    return {
        "DEB_ARCHITECTURE": target.architecture,
        "DEB_VERSION": version,
        "DEB_REVISION": revision(target),
        "DEB_MAINTAINER": _maintainer(),
        "SOURCE_DATE_EPOCH": str(int(date.timestamp())),
        "DEB_PYTHON": target.python_version,
        "DEB_PYTHON_NEXT": f"{major}.{minor + 1}",
        "DEB_STAGED": str(staged),
    }


def unit(file: Path) -> str:
    """Return a systemd unit as the package has it: with the program where packages have theirs."""
    return file.read_text(encoding="utf-8").replace(_UNIT_PROGRAM, "/usr/bin/permafrost")


def units() -> list[Path]:
    """Return the systemd units of the sources."""
    return sorted((ROOT / "systemd").iterdir())


def source_date() -> datetime:
    """Return the time of the sources."""
    stated = os.environ.get("SOURCE_DATE_EPOCH")
    if stated is None:
        log = ("git", "log", "-1", "--format=%ct")
        stated = subprocess.run(log, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return datetime.fromtimestamp(int(stated), UTC)


def _maintainer() -> str:
    name, email = os.environ.get("DEBFULLNAME"), os.environ.get("DEBEMAIL")
    return f"{name} <{email}>" if name and email else _NOBODY


def _write_system_files(staged: Path) -> None:
    program = staged / "usr/bin/permafrost"
    program.parent.mkdir()
    program.symlink_to("../lib/permafrost/bin/permafrost")
    texts = {f"usr/lib/systemd/system/{file.name}": unit(file) for file in units()}
    texts |= {place: completion(shell) for shell, place in PLACES.items()}
    texts["usr/share/lintian/overrides/permafrost"] = (ROOT / "packaging/debian/lintian-overrides").read_text()
    for place, text in texts.items():
        (staged / place).parent.mkdir(parents=True, exist_ok=True)
        (staged / place).write_text(text, encoding="utf-8")


def _make_alike(staged: Path, date: datetime) -> None:
    """Give every file the modes and the time that do not depend on who builds, and when."""
    program = staged / HOME / "bin/permafrost"
    for path in [staged, *staged.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path == program else 0o644)
        os.utime(path, (date.timestamp(), date.timestamp()), follow_symlinks=False)


def _package(file: Path, values: dict[str, str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    nfpm = (uv(), "run", "--quiet", "--isolated", "--locked", "--only-group=package", "nfpm")
    package = (*nfpm, "package", f"--config={DESCRIPTION}", "--packager=deb", f"--target={file}")
    subprocess.run(package, cwd=ROOT, env=os.environ | values, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Make the packages that the arguments name, all if they name none."""
    known = targets()
    if shutil.which(uv()) is None:
        sys.exit("deb: uv is missing; scripts/bootstrap installs it")
    for name in sys.argv[1:] or known:
        if name not in known:
            sys.exit(f"deb: {name} is none of {', '.join(known)}")
        file = build(known[name], DIST, source_date())
        print(f"{file.relative_to(ROOT)}  {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
