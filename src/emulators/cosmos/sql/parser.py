"""From a query text and its parameters to a tree: what is not known is refused with 501, what is wrong with 400."""

from collections.abc import Callable, Mapping

from emulators.cosmos.errors import bad, unknown
from emulators.cosmos.sql.functions import ARITY
from emulators.cosmos.sql.lexer import Token, string_of, tokens
from emulators.cosmos.sql.tree import (
    Called,
    Columns,
    Compared,
    Constant,
    Count,
    Exists,
    Expression,
    Joined,
    Listed,
    Negated,
    OneOf,
    Ordered,
    PathOf,
    Query,
    Star,
    ValueOf,
)
from emulators.cosmos.values import Json

_COMPARISONS = {"=": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_CONSTANTS: Mapping[str, Json] = {"TRUE": True, "FALSE": False, "NULL": None}
_KNOWN_TO_THE_SERVICE = frozenset("JOIN GROUP DISTINCT LIKE ARRAY UDF UNDEFINED + - * / % & ^ ~ | || ?? ? {".split())


class Parser:
    """Reads one text from left to right."""

    def __init__(self, text: str, parameters: Mapping[str, Json]) -> None:
        self._tokens = tokens(text)
        self._place = 0
        self._parameters = parameters
        self._aliases: list[str] = []

    def query(self) -> Query:
        """Read a whole query.

        Raises:
            CosmosError: 400 or 501.
        """
        self._need("SELECT")
        take = self._count() if self._skip("TOP") else None
        at_select = self._place
        self._pass_over_select()
        alias = self._from()
        at_from, self._place = self._place, at_select
        select = self._select()  # read after FROM, whose alias it uses
        self._place = at_from
        where = self._expression() if self._skip("WHERE") else None
        order, rank = self._order()
        skip, take = self._window(take)
        self._end()
        return Query(select, alias, where, order, rank, skip, take)

    def condition(self) -> tuple[str, Expression]:
        """Read the condition of a patch: `from c where ...`; return the alias too."""
        alias = self._from()
        self._need("WHERE")
        where = self._expression()
        self._end()
        return alias, where

    def _pass_over_select(self) -> None:
        depth = 0
        while depth or self._now.keyword != "FROM":
            if self._now.kind == "end":
                raise bad("Syntax error in the query: FROM is missing.")
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(self._now.text, 0) if self._now.kind == "sign" else 0
            self._place += 1

    def _from(self) -> str:
        self._need("FROM")
        name = self._name()
        if self._skip("AS"):
            name = self._name()
        elif self._now.kind == "word" and self._now.keyword not in {"WHERE", "ORDER", "OFFSET", "JOIN", "GROUP", "IN"}:
            name = self._name()
        self._aliases.append(name)
        return name

    def _select(self) -> Star | ValueOf | Columns | Count:
        if self._sign("*"):
            return Star()
        if self._skip("VALUE"):
            return self._value()
        columns = [self._column(0)]
        while self._sign(","):
            columns.append(self._column(len(columns)))
        if len({name for name, _ in columns}) < len(columns):
            raise bad("Two columns of the query have the same name.")
        return Columns(tuple(columns))

    def _value(self) -> ValueOf | Count:
        if self._now.keyword == "COUNT":
            self._place += 1
            for text in ("(", "1", ")"):
                if self._take().text != text:
                    raise unknown("COUNT of anything but 1")
            return Count()
        return ValueOf(self._expression())

    def _column(self, number: int) -> tuple[str, Expression]:
        expression = self._expression()
        if self._skip("AS"):
            return self._name(), expression
        if isinstance(expression, PathOf) and expression.steps and isinstance(expression.steps[-1], str):
            return expression.steps[-1], expression
        if isinstance(expression, PathOf) and not expression.steps:
            return expression.alias, expression
        return f"${number + 1}", expression  # https://learn.microsoft.com/azure/cosmos-db/nosql/query/select

    def _order(self) -> tuple[tuple[Ordered, ...], Called | None]:
        if not self._skip("ORDER"):
            return (), None
        self._need("BY")
        if self._skip("RANK"):
            rank = self._expression()
            if not isinstance(rank, Called) or rank.name not in ("FULLTEXTSCORE", "RRF"):
                raise bad("ORDER BY RANK takes FullTextScore or RRF.")
            if self._now.keyword in ("ASC", "DESC"):
                raise bad("ORDER BY RANK takes neither ASC nor DESC.")  # facts 5
            return (), rank
        items = [self._ordered()]
        while self._sign(","):
            items.append(self._ordered())
        return tuple(items), None

    def _ordered(self) -> Ordered:
        expression = self._expression()
        descending = {"ASC": False, "DESC": True}.get(self._now.keyword)
        self._place += descending is not None
        return Ordered(expression, descending)

    def _window(self, top: int | None) -> tuple[int, int | None]:
        if not self._skip("OFFSET"):
            return 0, top
        if top is not None:
            raise bad("TOP and OFFSET do not go together.")
        skip = self._count()
        self._need("LIMIT")
        return skip, self._count()

    def _count(self) -> int:
        token = self._take()
        value = self._parameter(token) if token.kind == "parameter" else _number(token)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise bad("TOP, OFFSET and LIMIT take a whole number that is not negative.")
        return value

    def _expression(self) -> Expression:
        return self._joined("OR", lambda: self._joined("AND", self._negation))

    def _joined(self, operator: str, inner: Callable[[], Expression]) -> Expression:
        parts = [inner()]
        while self._skip(operator):
            parts.append(inner())
        return parts[0] if len(parts) == 1 else Joined(operator, tuple(parts))

    def _negation(self) -> Expression:
        return Negated(self._negation()) if self._skip("NOT") else self._comparison()

    def _comparison(self) -> Expression:
        left = self._primary()
        if self._now.kind == "sign" and self._now.text in _COMPARISONS:
            return Compared(_COMPARISONS[self._take().text], left, self._primary())
        negated = self._skip("NOT")
        if self._skip("IN"):
            found: Expression = OneOf(left, self._in_parentheses())
        elif self._skip("BETWEEN"):
            low = self._primary()
            self._need("AND")
            found = Joined("AND", (Compared(">=", left, low), Compared("<=", left, self._primary())))
        elif negated:
            raise self._wrong()
        else:
            return left
        return Negated(found) if negated else found

    def _primary(self) -> Expression:
        token = self._take()
        match token.kind:
            case "string":
                return Constant(string_of(token))
            case "number":
                return Constant(_number(token))
            case "parameter":
                return self._path_or_constant(token)
            case "word":
                return self._named(token)
            case "sign" if token.text == "(":
                inner = self._expression()
                self._need_sign(")")
                return inner
            case "sign" if token.text == "[":
                return Listed(self._list("]"))
            case _:
                self._place -= 1
                raise self._wrong()

    def _path_or_constant(self, token: Token) -> Constant:
        if self._now.kind == "sign" and self._now.text in (".", "["):
            raise unknown("paths into a parameter")
        return Constant(self._parameter(token))

    def _parameter(self, token: Token) -> Json:
        if token.text not in self._parameters:
            raise bad(f"The query has no value for {token.text}.")
        return self._parameters[token.text]

    def _named(self, token: Token) -> Expression:
        if token.keyword in _CONSTANTS:
            return Constant(_CONSTANTS[token.keyword])
        if self._now.text == "(" and self._now.kind == "sign":
            return self._call(token)
        if token.text in self._aliases:
            return PathOf(token.text, self._steps())
        if token.keyword in _KNOWN_TO_THE_SERVICE:
            raise unknown(f"{token.keyword} in a query")
        raise bad(f"The query names {token.text}, which its FROM does not.")

    def _call(self, token: Token) -> Expression:
        if token.keyword == "EXISTS":
            return self._exists()
        if token.keyword not in ARITY:
            raise unknown(f"the function {token.text}")
        arguments = self._in_parentheses()
        if not ARITY[token.keyword][0] <= len(arguments) <= ARITY[token.keyword][1]:
            raise bad(f"The function {token.text} does not take {len(arguments)} arguments.")
        return Called(token.keyword, arguments)

    def _exists(self) -> Exists:
        self._need_sign("(")
        self._need("SELECT")
        self._need("VALUE")
        selected = self._name()
        self._need("FROM")
        alias = self._name()
        self._need("IN")
        source = self._primary()
        if selected != alias or not isinstance(source, PathOf):
            raise unknown("EXISTS other than of `SELECT VALUE x FROM x IN c.list`")
        self._aliases.append(alias)
        where = self._expression() if self._skip("WHERE") else None
        self._aliases.pop()
        self._need_sign(")")
        return Exists(alias, source, where)

    def _in_parentheses(self) -> tuple[Expression, ...]:
        self._need_sign("(")
        return self._list(")")

    def _list(self, end: str) -> tuple[Expression, ...]:
        items: list[Expression] = []
        while not self._sign(end):
            if items:
                self._need_sign(",")
            items.append(self._expression())
        return tuple(items)

    def _steps(self) -> tuple[str | int, ...]:
        steps: list[str | int] = []
        while True:
            if self._sign("."):
                steps.append(self._name())
            elif self._sign("["):
                token = self._take()
                steps.append(string_of(token) if token.kind == "string" else _index(token))
                self._need_sign("]")
            else:
                return tuple(steps)

    @property
    def _now(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._now
        self._place += token.kind != "end"
        return token

    def _name(self) -> str:
        token = self._take()
        if token.kind != "word":
            self._place -= 1
            raise self._wrong()
        return token.text

    def _skip(self, keyword: str) -> bool:
        found = self._now.keyword == keyword
        self._place += found
        return found

    def _sign(self, text: str) -> bool:
        found = self._now.kind == "sign" and self._now.text == text
        self._place += found
        return found

    def _need(self, keyword: str) -> None:
        if not self._skip(keyword):
            raise self._wrong()

    def _need_sign(self, text: str) -> None:
        if not self._sign(text):
            raise self._wrong()

    def _end(self) -> None:
        if self._now.kind != "end":
            raise self._wrong()

    def _wrong(self) -> Exception:
        word = self._now.keyword or self._now.text
        if word in _KNOWN_TO_THE_SERVICE:
            return unknown(f"{word} at this place of a query")
        return bad(f"Syntax error in the query near {self._now.text!r}.")


def _number(token: Token) -> Json:
    if token.kind != "number":
        raise bad(f"Syntax error in the query near {token.text!r}: a number should stand there.")
    return int(token.text) if token.text.lstrip("-").isdigit() else float(token.text)


def _index(token: Token) -> int:
    if token.kind != "number" or not token.text.isdigit():
        raise unknown("an index that is not a number or a string")
    return int(token.text)
