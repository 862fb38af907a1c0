"""Makes permafrost's own Python environment for a Debian release: nothing in it depends on the building machine.

A virtual environment is a file, a link to an interpreter and a folder of packages (PEP 405). Here all three are made
for the interpreter of another machine: the packages are the wheels of uv.lock for its Python and architecture, held to
the hashes in it. So any Linux builds for any release.
"""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = Path("usr/lib/permafrost")
_MACHINES = {"amd64": (62).to_bytes(2, "little"), "arm64": (183).to_bytes(2, "little")}
_LAUNCHER = """\
#!/{home}/bin/python3 -I
import sys

from {module} import {function}

sys.exit({function}())
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A Debian release, its Python, and an architecture as Debian calls it."""

    debian: int
    codename: str
    python: tuple[int, int]
    architecture: str

    @property
    def python_version(self) -> str:
        """The version of its Python, as 3.11."""
        return "{}.{}".format(*self.python)

    @property
    def wheels(self) -> str:
        """Which wheels fit, as uv calls it: 2.28 is the glibc that their makers build for, older than any release's."""
        return {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}[self.architecture]


def uv() -> str:
    """Return the path of uv: the machine's, or the one that scripts/bootstrap has installed."""
    return shutil.which("uv") or str(ROOT / ".tools/bin/uv")


def locked_requirements(*, has_hashes: bool) -> str:
    """Return what uv.lock holds for users of permafrost, without permafrost itself, as pip reads it."""
    extras = (
        "--extra=binary",
        "--extra=notify",
        "--extra=s3",
        "--extra=web",
    )  # the environment sees no package of the system
    hashes = () if has_hashes else ("--no-hashes",)
    export = (uv(), "export", "--locked", "--no-dev", *extras, "--no-emit-project", "--no-header", *hashes)
    return subprocess.run((*export, "--no-annotate"), cwd=ROOT, check=True, capture_output=True, text=True).stdout


def make_environment(target: Target, root: Path, scratch: Path) -> list[Distribution]:
    """Make it below `root`, as it will be on the machine; return the packages in it."""
    home = root / HOME
    (home / "bin").mkdir(parents=True)
    (home / "bin/python3").symlink_to(f"../../../bin/python{target.python_version}")
    (home / "bin/permafrost").write_text(launcher(), encoding="utf-8")
    (home / "bin/permafrost").chmod(0o755)
    (home / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {target.python_version}\n", encoding="utf-8"
    )
    packages = home / f"lib/python{target.python_version}/site-packages"
    _install(target, packages, scratch)
    caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src/permafrost", packages / "permafrost", ignore=caches)
    return [Distribution.at(folder) for folder in sorted(packages.glob("*.dist-info"))]


def launcher() -> str:
    """Return the program's entry point, for the interpreter of this environment and isolated from the user's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, function = project["scripts"]["permafrost"].partition(":")
    return _LAUNCHER.format(home=HOME, module=module, function=function)


def _install(target: Target, packages: Path, scratch: Path) -> None:
    requirements = scratch / "requirements.txt"
    requirements.write_text(locked_requirements(has_hashes=True), encoding="utf-8")
    which = (f"--python-version={target.python_version}", f"--python-platform={target.wheels}")
    how = ("--require-hashes", "--no-deps", "--only-binary=:all:", "--link-mode=copy", "--quiet")
    install = (uv(), "pip", "install", f"--target={packages}", *which, *how, f"--requirement={requirements}")
    subprocess.run(install, cwd=ROOT, check=True)
    check_machine(target, packages)
    shutil.rmtree(packages / "bin")  # programs of the packages, for the building machine's interpreter
    (packages / ".lock").unlink(missing_ok=True)


def check_machine(target: Target, folder: Path) -> int:
    """Return how many compiled files are in a folder; end the build if one is for another machine than the target.

    The machine is the number at byte 18 of a file in ELF, as in its specification and in <elf.h>.
    """
    compiled = {file: header for file in folder.rglob("*.so*") if (header := _start_of(file)).startswith(b"\x7fELF")}
    wrong = [file for file, header in compiled.items() if header[18:20] != _MACHINES[target.architecture]]
    if wrong:
        raise SystemExit(f"not for {target.architecture}: {', '.join(str(file.relative_to(folder)) for file in wrong)}")
    return len(compiled)


def _start_of(file: Path) -> bytes:
    with file.open("rb") as content:
        return content.read(20)
