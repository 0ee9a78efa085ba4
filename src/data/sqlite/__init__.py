"""The embedded store: one SQLite file, for a laptop or a single machine."""

from data.sqlite.store import open_store

__all__ = ["open_store"]
