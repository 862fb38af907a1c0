"""Prints which share of the branches and lines of each room the tests reach, and the modules reached least.

Reads .coverage, which `make coverage` writes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

LEAST = 10
ROOT = PurePath("src/permafrost")


def room_of(file: str) -> str:
    """Return the room that a source file lies in, the file itself if it lies in none."""
    parts = PurePath(file).relative_to(ROOT).parts
    return parts[0]


def main() -> None:
    """Print a table of rooms, and the least covered modules."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", str(report)], check=True)
        files = json.loads(report.read_text())["files"]
    reached: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    shares = []
    for file, measured in files.items():
        summary = measured["summary"]
        total = summary["num_statements"] + summary["num_branches"]
        covered = summary["covered_lines"] + summary["covered_branches"]
        reached[room_of(file)][0] += covered
        reached[room_of(file)][1] += total
        if total:
            shares.append((covered / total, file))
    print("| room | lines and branches | reached |")
    print("|---|---|---|")
    for room, (covered, total) in sorted(reached.items()):
        if total:
            print(f"| {room} | {total:,} | {covered / total:.1%} |")
    print("\nreached least:")
    for share, file in sorted(shares)[:LEAST]:
        print(f"  {share:.1%}  {file}")


if __name__ == "__main__":
    main()
