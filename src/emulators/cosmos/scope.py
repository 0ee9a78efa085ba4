"""Which part of a container a request is about, from its headers (rule 7).

An unscoped request, a partial key and half an interval are refused: a server that guesses here returns the rows of
other tenants.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from emulators.cosmos.catalogue import Container, Range
from emulators.cosmos.errors import CosmosError, bad
from emulators.cosmos.keys import after

KEY = "x-ms-documentdb-partitionkey"
RANGE = "x-ms-documentdb-partitionkeyrangeid"
START, END, READ_TYPE = "x-ms-start-epk", "x-ms-end-epk", "x-ms-read-key-type"
CROSS = "x-ms-documentdb-query-enablecrosspartition"
_SPLIT, _NO_CROSS = 1002, 0


@dataclass(frozen=True, slots=True)
class Scope:
    """The effective partition keys in [low, high).

    Attributes:
        part: the physical range to name in the answer.
        cross: the request runs over all of the container's ranges.
    """

    low: str
    high: str
    part: Range
    cross: bool = False


def query_scope(headers: Mapping[str, str], container: Container) -> Scope:
    """Return what a query is about: a full key, a range with or without an interval, or everything.

    Raises:
        CosmosError: 400; 410/1002 if the range has been split.
    """
    chosen = [name for name in (KEY, RANGE, CROSS) if headers.get(name, "False") != "False"]
    if len(chosen) != 1:
        raise bad("A query needs exactly one of: a partition key, a range, leave to cross partitions.")
    if chosen[0] == RANGE:
        return range_scope(headers, container)
    _no_interval(headers)
    if chosen[0] == KEY:
        return key_scope(headers[KEY], container)
    return Scope("", "FF", container.ranges[0], cross=True)


def range_scope(headers: Mapping[str, str], container: Container) -> Scope:
    """Return a physical range, or the interval in it that the request names.

    Raises:
        CosmosError: 400; 410/1002 if the range has been split.
    """
    part = _part(headers.get(RANGE, ""), container)
    low, high = headers.get(START), headers.get(END)
    if (low is None) != (high is None):
        raise bad("An interval of effective partition keys has two ends.")
    if low is None or high is None:
        return Scope(part.low, part.high, part)
    if READ_TYPE not in headers:
        raise bad(f"An interval needs {READ_TYPE}.")
    low, high = low.upper(), high.upper()
    if not part.low <= low < high <= part.high:
        raise bad("The interval of effective partition keys is empty or not within the range.")
    return Scope(low, high, part)


def key_scope(key: str, container: Container) -> Scope:
    """Return the place of a full key.

    Raises:
        CosmosError: 400/1001 for a partial key.
    """
    definition = container.definition.key
    epk = definition.epk(definition.of_header(key))
    return Scope(epk, after(epk), container.range_of(epk))


def _part(text: str, container: Container) -> Range:
    for part in container.ranges:
        if text == str(part.id):
            return part
    if any(text == str(part.id) for part in container.gone):
        raise CosmosError(HTTPStatus.GONE, "The partition key range has been split.", substatus=_SPLIT)
    raise bad("There is no such partition key range.")


def _no_interval(headers: Mapping[str, str]) -> None:
    if any(name in headers for name in (START, END, READ_TYPE)):
        raise bad("An interval of effective partition keys needs a partition key range.")
