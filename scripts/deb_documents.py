"""What a Debian package says of itself: copyright, change logs, man pages, an example, and permafrost's documents."""

from __future__ import annotations

import gzip
import shutil
from datetime import datetime
from email.utils import format_datetime
from importlib.metadata import Distribution
from pathlib import Path

from scripts.man_pages import man_pages
from scripts.private_environment import ROOT, Target
from scripts.reference import example_configuration

_COPYRIGHT = """\
permafrost is free software: you can redistribute it and/or modify it under the
terms of the GNU Affero General Public License as published by the Free Software
Foundation, either version 3 of the License, or (at your option) any later
version. It comes without any warranty. Copyright: its authors.

The package also contains these Python packages, unchanged, as their authors
publish them. Their copyright notices and licenses are in the folder
*.dist-info/licenses or the file *.dist-info/LICENSE* of each, in
/usr/lib/permafrost/lib/python{python}/site-packages.

{packages}

The GNU Affero General Public License, version 3:

{license}"""


def write_documents(
    target: Target, root: Path, packages: list[Distribution], version: str, maintainer: str, date: datetime
) -> None:
    """Write them below `root`, where Debian's policy wants them."""
    folder = root / "usr/share/doc/permafrost"
    for name in ("README.md", "SECURITY.md"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("*.json"))
    (folder / "examples").mkdir()
    (folder / "examples/permafrost.toml").write_text(example_configuration(), encoding="utf-8")
    (folder / "copyright").write_text(_copyright(target, packages), encoding="utf-8")
    _write_compressed(folder / "changelog.gz", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    entry = (
        f"permafrost ({version}) {target.codename}; urgency=medium\n\n"
        f"  * Built for Debian {target.debian}. What changed is in changelog.gz.\n\n"
        f" -- {maintainer}  {format_datetime(date)}\n"
    )
    _write_compressed(folder / "changelog.Debian.gz", entry)
    for name, page in man_pages(date).items():
        _write_compressed(root / "usr/share/man/man1" / f"{name}.gz", page)


def _copyright(target: Target, packages: list[Distribution]) -> str:
    lines = [f"  {package.name} {package.version}: {_license(package)}" for package in packages]
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    return _COPYRIGHT.format(python=target.python_version, packages="\n".join(lines), license=text)


def _license(package: Distribution) -> str:
    """Return the name of the package's license, as one of the three ways to state it says."""
    for field in ("License-Expression", "License"):
        if field in package.metadata and "\n" not in package.metadata[field]:
            return package.metadata[field]
    classifiers: list[str] = package.metadata.get_all("Classifier") or []
    return next(one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License ::"))


def _write_compressed(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
