"""Prints the packages of uv.lock as constraints for pip: the versions that permafrost was tested with."""

from __future__ import annotations

from scripts.private_environment import locked_requirements


def main() -> None:
    """Print them."""
    print(locked_requirements(has_hashes=False), end="")


if __name__ == "__main__":
    main()
