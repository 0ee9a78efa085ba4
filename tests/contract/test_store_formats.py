"""A data file that another version wrote: refused by name, and left as it is, every byte of it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import Unavailable
from data.sqlite import open_store
from data.sqlite.connections import SCHEMA_VERSION

FORMAT_3 = Path(__file__).with_name("sqlite_format_3.sql").read_text("utf-8")
"""The schema as it was before passages had a term."""


def written(path: Path, version: int, schema: str) -> None:
    """Make a file as that version left it when it ended, with an event in it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA journal_mode = WAL; {schema} PRAGMA user_version = {version};")
        connection.execute("INSERT INTO events (tenant, run, seq, hash, data) VALUES ('ten', 'run', 1, 'hash', x'00')")
        connection.commit()


@pytest.mark.parametrize("version", [1, 2, 3, SCHEMA_VERSION + 1])
async def test_a_file_of_another_format_is_refused_with_what_to_do_and_loses_nothing(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "mandate.db"
    written(path, version, FORMAT_3)
    before = path.read_bytes()
    with pytest.raises(Unavailable) as refused:
        async with open_store(path):
            pass
    assert refused.value.code == "dependency.store_format"
    assert f"has format {version} and this program knows {SCHEMA_VERSION}" in refused.value.message
    assert "start the version that wrote it, or choose another data folder" in refused.value.message
    assert path.read_bytes() == before
