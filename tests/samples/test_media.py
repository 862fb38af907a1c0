from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from samples.media import expected_files, id_partition, write_media


@pytest.mark.parametrize(
    ("row_id", "folders"),
    [(1513, "000/001/513"), (117662831954212746, "117/662/831/954/212/746"), (1_000_000_000, "001/000/000/000")],
)
def test_ids_become_folders(row_id: int, folders: str) -> None:
    """An id's folders are groups of three digits, of at least nine or twelve."""
    assert id_partition(row_id) == folders


def test_media_lies_where_the_rows_say(mastodon_database: str, tmp_path: Path) -> None:
    """Every expected file is there with its size and mode, nothing else is, and a suspended account's are closed."""
    with psycopg.connect(mastodon_database) as connection:
        written = write_media(connection, tmp_path)
        expected = {
            str(one.path): (one.size_bytes, one.mode, one.modified.timestamp()) for one in expected_files(connection)
        }
    found = {}
    for file in tmp_path.rglob("*"):
        if file.is_file():
            status = file.stat()
            found[str(file.relative_to(tmp_path))] = (status.st_size, status.st_mode & 0o777, round(status.st_mtime, 6))
    assert found == expected
    assert written.files == len(expected)
    assert written.size_bytes == sum(size for size, *_ in expected.values())
    assert any(mode == 0o600 for _, mode, _ in expected.values())
    tops = {path.split("/")[0] for path in expected}
    assert tops == {"cache", "media_attachments", "accounts", "custom_emojis", "site_uploads"}
    assert any("/small/" in path for path in expected)
    assert any("/static/" in path for path in expected)


def test_without_cache_only_the_rest_is_written(mastodon_database: str, tmp_path: Path) -> None:
    """Without the cache no file of it is written, and the others have the same contents as before."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    with psycopg.connect(mastodon_database) as connection:
        write_media(connection, whole)
        write_media(connection, part, with_cache=False)
    assert not (part / "cache").exists()
    files = [one for one in part.rglob("*") if one.is_file()]
    assert files
    assert all(one.read_bytes() == (whole / one.relative_to(part)).read_bytes() for one in files)
