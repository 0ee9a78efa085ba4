"""The tenants' indexes that are held in memory."""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from core import TenantId
from data.sqlite.connections import Connection
from data.sqlite.passages import version_of

if TYPE_CHECKING:
    from data.sqlite.vectors import Index

MAX_CACHED_BYTES = 256 * 1024 * 1024


class Indexes:
    """The tenants' indexes that searches hold in memory; the one searched longest ago goes when there is too much."""

    def __init__(self, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held: OrderedDict[tuple[TenantId, int], Index] = OrderedDict()
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forget all; searches read anew."""
        with self._lock:
            self._held.clear()

    def current(self, connection: Connection, tenant: TenantId, dimension: int) -> "Index":
        """Return the index as of the connection's snapshot, read from disk if anybody has written since."""
        from data.sqlite.vectors import load_index

        version, key = version_of(connection, tenant), (tenant, dimension)
        with self._lock:
            held = self._held.get(key)
            if held and held.version == version:
                self._held.move_to_end(key)
                return held
        index = load_index(connection, tenant, version, dimension, held)
        with self._lock:
            self._held[key] = index
            self._held.move_to_end(key)
            while len(self._held) > 1 and sum(i.matrix.nbytes for i in self._held.values()) > self._max_bytes:
                self._held.popitem(last=False)
        return index
