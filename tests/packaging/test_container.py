"""The image, the compose file and their page fit each other, and the program."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from permafrost.cli.main import main
from permafrost.config.loading import load_configuration
from permafrost.config.models import DEFAULT_PATH
from scripts.private_environment import ROOT

CONTAINER = ROOT / "packaging/container"
PAGE = (ROOT / "docs/how-to/containers.md").read_text(encoding="utf-8")
STEPS = [
    line.split(maxsplit=1)
    for line in (CONTAINER / "Containerfile").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
INSTALL = (CONTAINER / "install").read_text(encoding="utf-8")


def values(instruction: str) -> list[str]:
    """Return what the Containerfile says with this instruction."""
    return [rest for name, rest in STEPS if name == instruction]


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    """The service of the compose file."""
    told = yaml.safe_load((CONTAINER / "compose.yaml").read_text(encoding="utf-8"))
    assert list(told["services"]) == ["permafrost"]
    service: dict[str, Any] = told["services"]["permafrost"]
    assert set(service["secrets"]) == set(told["secrets"])
    return service


def test_the_only_step_is_the_script() -> None:
    """What the Containerfile runs is the script, which can be run without an engine too."""
    assert values("RUN") == ["/usr/src/permafrost/install /usr/src/permafrost"]
    subprocess.run(["shellcheck", CONTAINER / "install"], check=True)
    assert os.access(CONTAINER / "install", os.X_OK)


def test_the_image_gets_what_the_package_is_built_from() -> None:
    """Everything that is copied exists, and nothing that the build reads is forgotten."""
    sources = [word for copy in values("COPY") for word in copy.split()[:-1]]
    assert [name for name in sources if not (ROOT / name).exists()] == []
    assert {"LICENSE", "README.md", "pyproject.toml", "uv.lock", "src"} <= set(sources)


def test_the_image_starts_the_program() -> None:
    """Without words of its own a container keeps the server's service running, as Mastodon's user."""
    assert values("ENTRYPOINT") == ['["permafrost"]']
    [words] = [re.findall(r'"([^"]+)"', words) for words in values("CMD")]
    assert [name for name in words if main.get_command(click.Context(main), name) is None] == []
    assert values("USER") == ["991:991"]
    assert "useradd --uid 991 --gid 991 " in INSTALL


def test_the_service_has_the_folders_of_the_program(service: dict[str, Any], tmp_path: Path) -> None:
    """Each folder that the program writes to by default is a volume; all else is read-only, and belongs to its user."""
    minimal = tmp_path / "permafrost.toml"
    minimal.write_text('[database]\nurl = "host=db"\n[encryption]\npassphrase_file = "/run/secrets/x"\n')
    configuration = load_configuration(minimal)
    mounted = {parts[1]: parts[0] for volume in service["volumes"] if len(parts := volume.split(":")) > 1}
    written = [
        configuration.repository.path,
        configuration.state.path,
        configuration.state.scratch,
        configuration.signing.gnupg_home,
        configuration.syncthing.home,
        DEFAULT_PATH,
    ]
    assert [path for path in written if not any(path.is_relative_to(folder) for folder in mounted)] == []
    assert (service["user"], service["read_only"], service["cap_drop"]) == ("991:991", True, ["ALL"])
    made = re.findall(r"^install -d -o 991 -g 991 -m 0700 (.*)$", PAGE, re.MULTILINE)
    assert {Path(folder) for folder in made[0].split()} >= {
        Path(folder) for folder in mounted.values() if folder.startswith("./permafrost")
    }


def test_the_service_is_built_from_the_sources(service: dict[str, Any]) -> None:
    """The compose file names the Containerfile, in the sources."""
    assert (ROOT / service["build"]["dockerfile"]).is_file()


def commands() -> list[str]:
    """Return what the page gives to the program, in a container."""
    text = PAGE.replace("\\\n", " ")
    started = r"(?:run --rm(?: --volume \S+)? permafrost|exec permafrost permafrost)"
    return re.findall(rf"^docker compose {started} (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("command", commands())
def test_the_pages_commands_exist(command: str) -> None:
    """Every command of the page is one of the program's, with options that it has."""
    words = shlex.split(command)
    found: click.Command | None = main
    while isinstance(found, click.Group):
        found = found.get_command(click.Context(found), words.pop(0))
    assert found is not None
    with found.make_context(found.name, words) as context:
        assert context.params


def test_the_page_shows_enough() -> None:
    """The page goes from nothing to a passed drill and a paired vault."""
    firsts = [command.split()[0] for command in commands()]
    assert firsts == ["init", "config", "backup", "drill", "status", "vault", "restore"]


@pytest.mark.parametrize("block", re.findall(r"^ *```yaml\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE))
def test_examples_are_yaml(block: str, service: dict[str, Any]) -> None:
    """Each further piece of a compose file can be merged with ours."""
    told = yaml.safe_load(block)
    assert set(told["services"]["permafrost"]) <= set(service)
    assert set(told["secrets"]) <= set(told["services"]["permafrost"]["secrets"])
