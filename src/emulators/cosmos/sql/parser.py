"""From a query text and its parameters to a tree: what is not known is refused with 501, what is wrong with 400."""

from collections.abc import Callable, Mapping

from emulators.cosmos.errors import bad, unknown
from emulators.cosmos.sql.functions import ARITY
from emulators.cosmos.sql.lexer import Token, string_of
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
from emulators.cosmos.sql.words import KNOWN_TO_THE_SERVICE, Words
from emulators.cosmos.values import Json

_COMPARISONS = {"=": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_AFTER_FROM = frozenset({"WHERE", "ORDER", "OFFSET", "JOIN", "GROUP", "IN"})
_CONSTANTS: Mapping[str, Json] = {"TRUE": True, "FALSE": False, "NULL": None}


class Parser(Words):
    """Reads one text from left to right."""

    def __init__(self, text: str, parameters: Mapping[str, Json]) -> None:
        super().__init__(text)
        self._parameters = parameters
        self._aliases: list[str] = []

    def query(self) -> Query:
        """Read a whole query.

        Raises:
            CosmosError: 400 or 501.
        """
        self.need("SELECT")
        take = self._count() if self.skip("TOP") else None
        at_select = self.place
        self._pass_over_select()
        at_from = self.place
        alias = self._from()
        behind_from, self.place = self.place, at_select
        select = self._select()  # read after FROM, whose alias it uses
        if self.place != at_from:
            raise self.wrong()
        self.place = behind_from
        where = self._expression() if self.skip("WHERE") else None
        order, rank = self._order()
        skip, take = self._window(take)
        self.end()
        return Query(select, alias, where, order, rank, skip, take)

    def condition(self) -> tuple[str, Expression]:
        """Read the condition of a patch: `from c where ...`; return the alias too."""
        alias = self._from()
        self.need("WHERE")
        where = self._expression()
        self.end()
        return alias, where

    def _pass_over_select(self) -> None:
        depth = 0
        while depth or self.now.keyword != "FROM":
            if self.now.kind == "end":
                raise bad("Syntax error in the query: FROM is missing.")
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(self.now.text, 0) if self.now.kind == "sign" else 0
            self.place += 1

    def _from(self) -> str:
        self.need("FROM")
        name = self.name()
        if self.skip("AS") or (self.now.kind == "word" and self.now.keyword not in _AFTER_FROM):
            name = self.name()
        self._aliases.append(name)
        return name

    def _select(self) -> Star | ValueOf | Columns | Count:
        if self.sign("*"):
            return Star()
        if self.skip("VALUE"):
            return self._value()
        columns = [self._column(0)]
        while self.sign(","):
            columns.append(self._column(len(columns)))
        if len({name for name, _ in columns}) < len(columns):
            raise bad("Two columns of the query have the same name.")
        return Columns(tuple(columns))

    def _value(self) -> ValueOf | Count:
        if self.now.keyword == "COUNT":
            self.place += 1
            for text in ("(", "1", ")"):
                if self.take().text != text:
                    raise unknown("COUNT of anything but 1")
            return Count()
        return ValueOf(self._expression())

    def _column(self, number: int) -> tuple[str, Expression]:
        expression = self._expression()
        if self.skip("AS"):
            return self.name(), expression
        if isinstance(expression, PathOf) and expression.steps and isinstance(expression.steps[-1], str):
            return expression.steps[-1], expression
        if isinstance(expression, PathOf) and not expression.steps:
            return expression.alias, expression
        return f"${number + 1}", expression  # https://learn.microsoft.com/azure/cosmos-db/nosql/query/select

    def _order(self) -> tuple[tuple[Ordered, ...], Called | None]:
        if not self.skip("ORDER"):
            return (), None
        self.need("BY")
        if self.skip("RANK"):
            rank = self._expression()
            if not isinstance(rank, Called) or rank.name not in ("FULLTEXTSCORE", "RRF"):
                raise bad("ORDER BY RANK takes FullTextScore or RRF.")
            if self.now.keyword in ("ASC", "DESC"):
                raise bad("ORDER BY RANK takes neither ASC nor DESC.")  # rule 12
            return (), rank
        items = [self._ordered()]
        while self.sign(","):
            items.append(self._ordered())
        return tuple(items), None

    def _ordered(self) -> Ordered:
        expression = self._expression()
        descending = {"ASC": False, "DESC": True}.get(self.now.keyword)
        self.place += descending is not None
        return Ordered(expression, descending)

    def _window(self, top: int | None) -> tuple[int, int | None]:
        if not self.skip("OFFSET"):
            return 0, top
        if top is not None:
            raise bad("TOP and OFFSET do not go together.")
        skip = self._count()
        self.need("LIMIT")
        return skip, self._count()

    def _count(self) -> int:
        token = self.take()
        value = self._parameter(token) if token.kind == "parameter" else _number(token)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise bad("TOP, OFFSET and LIMIT take a whole number that is not negative.")
        return value

    def _expression(self) -> Expression:
        return self._joined("OR", lambda: self._joined("AND", self._negation))

    def _joined(self, operator: str, inner: Callable[[], Expression]) -> Expression:
        parts = [inner()]
        while self.skip(operator):
            parts.append(inner())
        return parts[0] if len(parts) == 1 else Joined(operator, tuple(parts))

    def _negation(self) -> Expression:
        return Negated(self._negation()) if self.skip("NOT") else self._comparison()

    def _comparison(self) -> Expression:
        left = self._primary()
        if self.now.kind == "sign" and self.now.text in _COMPARISONS:
            return Compared(_COMPARISONS[self.take().text], left, self._primary())
        negated = self.skip("NOT")
        if self.skip("IN"):
            found: Expression = OneOf(left, self._in_parentheses())
        elif self.skip("BETWEEN"):
            low = self._primary()
            self.need("AND")
            found = Joined("AND", (Compared(">=", left, low), Compared("<=", left, self._primary())))
        elif negated:
            raise self.wrong()
        else:
            return left
        return Negated(found) if negated else found

    def _primary(self) -> Expression:
        token = self.take()
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
                self.need_sign(")")
                return inner
            case "sign" if token.text == "[":
                return Listed(self._list("]"))
            case _:
                raise self.wrong(token)

    def _path_or_constant(self, token: Token) -> Constant:
        if self.now.kind == "sign" and self.now.text in (".", "["):
            raise unknown("paths into a parameter")
        return Constant(self._parameter(token))

    def _parameter(self, token: Token) -> Json:
        if token.text not in self._parameters:
            raise bad(f"The query has no value for {token.text}.")
        return self._parameters[token.text]

    def _named(self, token: Token) -> Expression:
        if token.keyword in _CONSTANTS:
            return Constant(_CONSTANTS[token.keyword])
        if self.now.text == "(" and self.now.kind == "sign":
            return self._call(token)
        if token.text in self._aliases:
            return PathOf(token.text, self._steps())
        if token.keyword in KNOWN_TO_THE_SERVICE:
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
        self.need_sign("(")
        self.need("SELECT")
        self.need("VALUE")
        if self.now.kind != "word":
            raise unknown("EXISTS other than of `SELECT VALUE x FROM x IN c.list`")
        selected = self.name()
        self.need("FROM")
        alias = self.name()
        self.need("IN")
        source = self._primary()
        if selected != alias or not isinstance(source, PathOf):
            raise unknown("EXISTS other than of `SELECT VALUE x FROM x IN c.list`")
        self._aliases.append(alias)
        where = self._expression() if self.skip("WHERE") else None
        self._aliases.pop()
        self.need_sign(")")
        return Exists(alias, source, where)

    def _in_parentheses(self) -> tuple[Expression, ...]:
        self.need_sign("(")
        return self._list(")")

    def _list(self, end: str) -> tuple[Expression, ...]:
        items: list[Expression] = []
        while not self.sign(end):
            if items:
                self.need_sign(",")
            items.append(self._expression())
        return tuple(items)

    def _steps(self) -> tuple[str | int, ...]:
        steps: list[str | int] = []
        while True:
            if self.sign("."):
                steps.append(self.name())
            elif self.sign("["):
                token = self.take()
                steps.append(string_of(token) if token.kind == "string" else _index(token))
                self.need_sign("]")
            else:
                return tuple(steps)


def _number(token: Token) -> Json:
    if token.kind != "number":
        raise bad(f"Syntax error in the query near {token.text!r}: a number should stand there.")
    return int(token.text) if token.text.lstrip("-").isdigit() else float(token.text)


def _index(token: Token) -> int:
    if token.kind != "number" or not token.text.isdigit():
        raise unknown("an index that is not a number or a string")
    return int(token.text)
