"""nix/package.nix and flake.nix: what can be said of them without nixpkgs."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.nix.evaluating import INSTANTIATE, NIX, needs_nix, nix

ROOT = NIX.parent
pytestmark = needs_nix


@pytest.mark.parametrize("file", [*sorted(NIX.glob("*.nix")), ROOT / "flake.nix"], ids=lambda file: file.name)
def test_it_parses(file: Path) -> None:
    """Every file is Nix, with no name that is bound nowhere."""
    subprocess.run([str(INSTANTIATE), "--parse", str(file)], check=True, capture_output=True, timeout=60)


def test_the_package_has_all_that_is_imported() -> None:
    """Its dependencies are those of pyproject.toml, with those of page and alerts; its name and version too."""
    package = nix(
        f"""
        let
          named = name: {{ inherit name; outPath = "/x/${{name}}"; }};
          lib = {{
            importTOML = file: builtins.fromTOML (builtins.readFile file);
            fileset = {{ toSource = _: "src"; unions = files: files; }};
            makeBinPath = map (one: one.name);
            optionalString = condition: text: if condition then text else "";
            concatMapStringsSep = separator: function: list: builtins.concatStringsSep separator (map function list);
            licenses.agpl3Plus = "AGPL";
            platforms.linux = [ ];
          }};
          same = names: builtins.listToAttrs (map (name: {{ inherit name; value = name; }}) names);
          python = same [
            "hatchling" "click" "cronsim" "cryptography" "httpx" "numpy" "psycopg" "pydantic" "rich" "tomli-w"
            "zstandard" "zxcvbn" "jinja2" "uvicorn" "apprise" "boto3"
          ];
          made = import {NIX}/package.nix {{
            inherit lib;
            python3Packages = python // {{ buildPythonApplication = made: made; }};
            stdenv.buildPlatform.canExecute = _: true;
            stdenv.hostPlatform = {{ }};
            installShellFiles = named "installShellFiles";
            bubblewrap = named "bubblewrap";
            gnupg = named "gnupg";
            syncthing = named "syncthing";
            zstd = named "zstd";
          }};
        in {{ inherit (made) pname version dependencies postInstall makeWrapperArgs; }}
        """
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["web"], *extras["notify"], *extras["s3"]]
    assert sorted(package["dependencies"]) == sorted(re.split(r"[>=\[]", one)[0] for one in asked)
    assert (package["pname"], package["version"]) == (project["name"], project["version"])
    assert package["makeWrapperArgs"][3] == ["bubblewrap", "gnupg", "syncthing", "zstd"]
    assert "--fish <(_PERMAFROST_COMPLETE=fish_source $out/bin/permafrost)" in package["postInstall"]


def test_the_flake_has_its_outputs() -> None:
    """Modules, packages, overlay, checks and formatter are there for both architectures."""
    outputs = nix(
        f"""
        let
          pkgs = {{
            callPackage = file: _: {{ built = baseNameOf file; }};
            testers.runNixOSTest = test: {{ built = test.name; nodes = builtins.attrNames test.nodes; }};
            nixfmt-rfc-style.built = "nixfmt";
          }};
          flake = import {ROOT}/flake.nix;
          self = flake.outputs {{
            inherit self;
            nixpkgs = {{
              lib.genAttrs = names: f: builtins.listToAttrs (map (name: {{ inherit name; value = f name; }}) names);
              legacyPackages = {{ x86_64-linux = pkgs; aarch64-linux = pkgs; }};
            }};
          }};
        in {{
          inherit (self) packages checks formatter;
          modules = builtins.mapAttrs (_: baseNameOf) self.nixosModules;
          overlay = self.overlays.default pkgs {{ }};
        }}
        """
    )
    assert outputs["modules"] == {"default": "module.nix", "server": "server.nix", "vault": "vault.nix"}
    assert outputs["overlay"] == {"permafrost": {"built": "package.nix"}}
    for architecture in ("x86_64-linux", "aarch64-linux"):
        assert outputs["packages"][architecture] == {"default": {"built": "package.nix"}}
        assert outputs["checks"][architecture]["nixos"] == {"built": "permafrost", "nodes": ["server", "vault"]}
        assert outputs["formatter"][architecture] == {"built": "nixfmt"}
