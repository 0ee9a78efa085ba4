"""What a container declares, checked when it is made (rules 4, 12 and 13)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from emulators.cosmos.errors import bad, unknown
from emulators.cosmos.keys import KeyDefinition
from emulators.cosmos.values import Json, Object, Value, as_list, as_object, check_keys, policy_path

Steps = tuple[str, ...]
T = TypeVar("T")

_BODY = frozenset({
    "id", "partitionKey", "indexingPolicy", "defaultTtl", "uniqueKeyPolicy", "vectorEmbeddingPolicy", "fullTextPolicy",
    "conflictResolutionPolicy", "changeFeedPolicy", "geospatialConfig", "computedProperties",
    "_rid", "_self", "_etag", "_ts", "_docs", "_sprocs", "_triggers", "_udfs", "_conflicts",
})  # fmt: skip
_INDEXING = frozenset({
    "indexingMode", "automatic", "includedPaths", "excludedPaths", "compositeIndexes", "vectorIndexes",
    "fullTextIndexes", "spatialIndexes",
})  # fmt: skip
_DATA_TYPES = ("float32", "float16", "int8", "uint8")
_DISTANCES = ("cosine", "dotproduct", "euclidean")
_VECTOR_INDEXES = {"flat": 505, "quantizedFlat": 4096, "diskANN": 4096}
_KEY_VERSION, _DEEPEST_KEY, _MOST_UNIQUE_KEYS = 2, 3, 10
_ID = re.compile(r"[^/\\#?\t\r\n]{1,255}")


@dataclass(frozen=True, slots=True)
class Embedding:
    """A path that holds vectors, how long they are, and how their distance is measured."""

    path: Steps
    dimensions: int
    distance: str
    data_type: str


@dataclass(frozen=True, slots=True)
class Definition:
    """What a container declares.

    Attributes:
        ttl: `None` where items do not expire, -1 where only those do that say so, else seconds.
        unique: the sets of paths whose values are unique within a logical partition.
        composite: the composite indexes, each a row of paths with whether it is descending.
    """

    name: str
    key: KeyDefinition
    ttl: int | None
    unique: tuple[tuple[Steps, ...], ...]
    composite: tuple[tuple[tuple[Steps, bool], ...], ...]
    embeddings: tuple[Embedding, ...]
    full_text: tuple[Steps, ...]
    full_text_indexed: frozenset[Steps]
    excluded: frozenset[str]
    excludes_all: bool
    included: frozenset[str]

    def indexes(self, path: Steps) -> bool:
        """Return whether a plain index covers `path`: the most precise rule that fits decides.

        https://learn.microsoft.com/azure/cosmos-db/index-policy#includeexclude-precedence
        """
        for length in range(len(path), -1, -1):
            rules = _rules(path, length)
            if rules & self.included:
                return True
            if rules & self.excluded:
                return False
        return False


def _rules(path: Steps, length: int) -> frozenset[str]:
    text = "".join(f"/{step}" for step in path[:length])
    return frozenset({f"{text}/*", f"{text}/?"} if length == len(path) else {f"{text}/*"})


def read_definition(body: Object) -> Definition:
    """Check the body of a container.

    Raises:
        CosmosError: 400.
    """
    check_keys(body, _BODY, "The container")
    if body.get("computedProperties"):
        raise bad("This emulator does not know computed properties.")
    name = resource_name(body.get("id"))
    indexing = as_object(body.get("indexingPolicy", {}), "indexingPolicy")
    check_keys(indexing, _INDEXING, "indexingPolicy")
    embeddings = _each(_inside(body, "vectorEmbeddingPolicy", "vectorEmbeddings"), _embedding)
    texts = _each(_inside(body, "fullTextPolicy", "fullTextPaths"), lambda entry: policy_path(entry.get("path")))
    included, excluded = _plain(indexing, "includedPaths"), _plain(indexing, "excludedPaths")
    _check_vector_indexes(indexing, embeddings, excluded)
    return Definition(
        name=name,
        key=_key(body.get("partitionKey")),
        ttl=_ttl(body.get("defaultTtl")),
        unique=_unique(body),
        composite=tuple(_composite(row) for row in as_list(indexing.get("compositeIndexes", []), "compositeIndexes")),
        embeddings=embeddings,
        full_text=texts,
        full_text_indexed=_text_indexes(indexing, texts),
        excluded=excluded,
        excludes_all="/*" in excluded,
        included=included or (frozenset() if "/*" in excluded else frozenset({"/*"})),
    )


def resource_name(value: Value) -> str:
    """Return the id of a database or container, which the SDK itself limits too (rule 1).

    Raises:
        CosmosError: 400.
    """
    if not isinstance(value, str) or not _ID.fullmatch(value) or value.endswith(" "):
        raise bad("An id must be a string of 1 to 255 characters without / \\ # ? and without a space at its end.")
    return value


def _key(value: Value) -> KeyDefinition:
    key = as_object(value, "partitionKey")
    check_keys(key, frozenset({"paths", "kind", "version", "systemKey"}), "partitionKey")
    paths = tuple(policy_path(path) for path in as_list(key.get("paths"), "partitionKey.paths"))
    kind, version = key.get("kind", "Hash"), key.get("version", 1)
    if kind == "Hash" and version == 1:
        raise unknown("version 1 of the hash of keys")
    deepest = {"Hash": 1, "MultiHash": _DEEPEST_KEY}.get(str(kind), 0)
    if version == _KEY_VERSION and 0 < len(paths) <= deepest:
        return KeyDefinition(paths, str(kind))
    raise bad("A partition key is Hash with one path, or MultiHash version 2 with up to three.")


def _ttl(value: Json) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or (value != -1 and value < 1):
        raise bad("defaultTtl must be -1 or a positive number of seconds.")
    return value


def _unique(body: Object) -> tuple[tuple[Steps, ...], ...]:
    keys = _each(
        _inside(body, "uniqueKeyPolicy", "uniqueKeys"),
        lambda entry: tuple(policy_path(path) for path in as_list(entry.get("paths"), "uniqueKeys.paths")),
    )
    if len(keys) > _MOST_UNIQUE_KEYS:
        raise bad(f"A container may have {_MOST_UNIQUE_KEYS} unique keys at most.")
    return keys


def _composite(value: Json) -> tuple[tuple[Steps, bool], ...]:
    row: list[tuple[Steps, bool]] = []
    for entry in as_list(value, "A composite index"):
        column = as_object(entry, "An entry of a composite index")
        order = column.get("order", "ascending")
        if order not in ("ascending", "descending"):
            raise bad("The order of a composite index is ascending or descending.")
        row.append((policy_path(column.get("path")), order == "descending"))
    if not row[1:]:  # one path is what a plain index is for
        raise bad("A composite index must have two or more paths.")
    return tuple(row)


def _embedding(entry: Object) -> Embedding:
    check_keys(entry, frozenset({"path", "dataType", "dimensions", "distanceFunction"}), "A vector embedding")
    kind, distance, dimensions = entry.get("dataType"), entry.get("distanceFunction"), entry.get("dimensions")
    if not isinstance(kind, str) or kind not in _DATA_TYPES:
        raise bad(f"dataType must be one of {', '.join(_DATA_TYPES)}.")
    if not isinstance(distance, str) or distance not in _DISTANCES:
        raise bad(f"distanceFunction must be one of {', '.join(_DISTANCES)}.")
    if not isinstance(dimensions, int) or not 1 <= dimensions <= _VECTOR_INDEXES["diskANN"]:
        raise bad("dimensions must be a number from 1 to 4096.")
    return Embedding(policy_path(entry.get("path")), dimensions, distance, kind)


def _check_vector_indexes(indexing: Object, embeddings: Sequence[Embedding], excluded: frozenset[str]) -> None:
    """A vector index needs an embedding of its path, and the path excluded from the plain index (rule 12)."""
    known = {embedding.path: embedding for embedding in embeddings}
    allowed = frozenset({"path", "type", "quantizationByteSize", "indexingSearchListSize", "vectorIndexShardKey"})
    for value in as_list(indexing.get("vectorIndexes", []), "vectorIndexes"):
        entry = as_object(value, "A vector index")
        check_keys(entry, allowed, "A vector index")
        path, kind = policy_path(entry.get("path")), entry.get("type")
        if path not in known:
            raise bad("A vector index needs a path of vectorEmbeddingPolicy.")
        if not isinstance(kind, str) or kind not in _VECTOR_INDEXES:
            raise bad(f"The type of a vector index is one of {', '.join(_VECTOR_INDEXES)}.")
        if known[path].dimensions > _VECTOR_INDEXES[kind]:
            raise bad(f"A vector index of type {kind} takes {_VECTOR_INDEXES[kind]} dimensions at most.")
        if not {f"{_text(path)}/*", f"{_text(path)}/?"} & excluded:
            raise bad("The path of a vector index must be among excludedPaths.")


def _text_indexes(indexing: Object, texts: tuple[Steps, ...]) -> frozenset[Steps]:
    entries = as_list(indexing.get("fullTextIndexes", []), "fullTextIndexes")
    found = _each(entries, lambda entry: policy_path(entry.get("path")))
    if not set(found) <= set(texts):
        raise bad("A full-text index needs a path of fullTextPolicy.")
    return frozenset(found)


def _plain(indexing: Object, name: str) -> frozenset[str]:
    entries = as_list(indexing.get(name, []), name)
    paths = _each(entries, lambda entry: _plain_path(entry.get("path")))
    return frozenset(paths)


def _plain_path(path: Value) -> str:
    if not isinstance(path, str) or not path.endswith(("/*", "/?")):
        raise bad("A path of the indexing policy ends with /* or /?.")
    return path.replace('"', "")


def _inside(body: Object, policy: str, name: str) -> list[Json]:
    return as_list(as_object(body.get(policy) or {}, policy).get(name) or [], name)


def _each(entries: list[Json], read: Callable[[Object], T]) -> tuple[T, ...]:
    return tuple(read(as_object(entry, "An entry of a policy")) for entry in entries)


def _text(path: Steps) -> str:
    return "".join(f"/{step}" for step in path)
