"""The query language: text to tree, tree to values of one document."""

from collections.abc import Mapping

from emulators.cosmos.errors import bad
from emulators.cosmos.sql.evaluate import compiled
from emulators.cosmos.sql.parser import Parser
from emulators.cosmos.sql.tree import Expression, Query
from emulators.cosmos.values import Json, Object

_LONGEST_TEXT = 512 * 1024


def parse_query(text: Json, parameters: Mapping[str, Json]) -> Query:
    """Read a query.

    Raises:
        CosmosError: 400 where it is wrong, 501 where this emulator does not know what it says.
    """
    if not isinstance(text, str) or len(text.encode()) > _LONGEST_TEXT:
        raise bad("The query must be a text of 512 KB at most.")
    return Parser(text, parameters).query()


def parse_condition(text: Json) -> tuple[str, Expression]:
    """Read the condition of a patch, `from c where ...`.

    Raises:
        CosmosError: 400 or 501.
    """
    if not isinstance(text, str):
        raise bad("The condition of a patch must be a text.")
    return Parser(text, {}).condition()


def matches(condition: tuple[str, Expression], document: Object) -> bool:
    alias, where = condition
    return compiled(where)({alias: document}) is True


__all__ = ["matches", "parse_condition", "parse_query"]
