"""What docs/how-to/set-up-nixos.md tells people to write is Nix, and the modules take it."""

from __future__ import annotations

import re

import pytest

from tests.nix.evaluating import NIX, evaluated, needs_nix, nix

pytestmark = needs_nix
PAGE = NIX.parent / "docs/how-to/set-up-nixos.md"
BLOCKS = [
    re.sub("^ +(?=[{} ])", "", block, flags=re.MULTILINE)
    for block in re.findall(r"^ *```nix\n(.*?)^ *```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
]


def test_the_flake_builds_a_machine() -> None:
    """The example's outputs hand the module, and what enables it, to nixosSystem."""
    machine = nix(
        f"""
        let
          flake = {BLOCKS[0].replace("./configuration.nix", "{ }")};
          made = flake.outputs {{
            nixpkgs.lib.nixosSystem = machine: machine;
            permafrost.nixosModules.default = {{ ours = true; }};
          }};
        in made.nixosConfigurations.server.modules
        """
    )
    assert {"ours": True} in machine
    assert {"services": {"permafrost": {"enable": True, "openFirewall": True}}} in machine


@pytest.mark.parametrize("block", BLOCKS[1:], ids=lambda block: block.split("=")[0].strip("{ \n"))
def test_the_modules_take_it(block: str) -> None:
    """Each further example is a part of a configuration that is built without a refusal or a warning."""
    enabled = "" if "permafrost-vault.enable" in block else "services.permafrost-vault.enable = true;"
    words = block.strip()[1:-1] + enabled + "services.mastodon.enable = true; services.permafrost.enable = true;"
    told = evaluated(words)
    assert (told["refused"], told["warnings"]) == ([], [])


def test_there_are_examples() -> None:
    """The page shows the server, its settings and passphrase, a vault, and both sides of a declared pair."""
    assert len(BLOCKS) == 6
