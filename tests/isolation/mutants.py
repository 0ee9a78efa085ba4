"""Every place in the code that keeps tenants apart. `mutating` takes one away, `run_mutants` sees whether a test fails.

A `predicate` is a tenant in a statement's WHERE, of SQLite or of Cosmos DB: the mutant lets any tenant pass. A `check`
compares tenants: the mutant finds them equal. A `key` is a tenant that goes into a key, an id or an event, or stands in
a table's key: in the mutant it is the same for all. So it is in a `container`, such as a cache, in all places where it
is asked. A `partition` is the part of Cosmos DB that is asked: the mutant asks all of them.

A mutant that changes nothing for anybody has a comment on its line or the one before, with the reason:
`# mandate: equal[key] - why`.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from mandate.settings import ROOT

SRC = ROOT / "src"
LAYERS = ("core", "telemetry", "data", "models", "tools", "reading", "web", "control", "orchestration", "interaction")
SCHEMA = "data/sqlite/schema.sql"

NAMES = {"tenant", "_tenant", "tenant_id", "tid"}
ALSO = {"tenant.id", "key[0]"}
"""A record of a tenant has its id, and the first level of a key in `data` is the tenant."""

ASKED = {"get", "setdefault", "pop", "add", "forget", "take", "leave", "follow"}
"""What a container is asked with a key."""

GIVEN = {"derived_id", "canonical", "log_run", "_place", "Operation", "_operation", "_owned", "_checked"}
"""What makes an id of a tenant, counts for it, or holds to it what is read and written."""

PREDICATES = {
    re.compile(r"\btenant = \?"): "? IS NOT NULL",
    re.compile(r"\btenant = c\.tenant\b"): "c.tenant IS NOT NULL",
    re.compile(r"\bc\.tenant = @tenant\b"): "IS_DEFINED(c.tenant)",
    re.compile(r"\btenant(?=(, \w+)*\) > \()"): "''",
}
"""A tenant in a statement, and what stands there instead: as many values are bound to it as before."""

IN_KEY = re.compile(r"(?<=\()tenant, ")
"""A tenant in the key of a table."""

COMPARED = re.compile(r"\bc\.tenant\b|^/tenant$")
"""A text that a statement or a key is looked through for."""

MARK = re.compile(r"# mandate: equal\[(\w+)\] - \S")
Parents = Mapping[ast.AST, ast.AST]


@dataclass(frozen=True)
class Mutant:
    """Attributes:
    line: where it is, or where the first of its places is.
    nodes: by their number in the walk over the tree. A container that is asked in many places has one mutant.
    which: of the predicates in a text, of the keys in the schema.
    """

    file: str
    line: int
    kind: str
    nodes: tuple[int, ...] = ()
    which: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.kind}"


@cache
def mutants() -> Sequence[Mutant]:
    """Return all that there are, in the order of the files."""
    return tuple(_mutants())


def _mutants() -> Iterator[Mutant]:
    for layer in LAYERS:
        for path in sorted((SRC / layer).rglob("*.py")):
            yield from of_source(path.relative_to(SRC).as_posix(), path.read_text())
    schema = (SRC / SCHEMA).read_text()
    for which, found in enumerate(IN_KEY.finditer(_only_keys(schema))):
        yield Mutant(SCHEMA, schema.count("\n", 0, found.start()) + 1, "key", which=which)


def _only_keys(schema: str) -> str:
    """Return the schema with its indexes blank: they make nothing unique."""
    return re.sub(r"CREATE INDEX.*", lambda found: " " * len(found.group()), schema)


def without_key(schema: str, which: int) -> str:
    """Return the schema with a key that the tenant is no part of."""
    found = list(IN_KEY.finditer(_only_keys(schema)))[which]
    return schema[: found.start()] + schema[found.end() :]


def predicates(text: str) -> list[tuple[int, int, str]]:
    """Return where in a text tenants are asked for, and what stands there in the mutant."""
    return sorted((*found.span(), new) for pattern, new in PREDICATES.items() for found in pattern.finditer(text))


def of_source(file: str, source: str) -> Iterator[Mutant]:
    """Yield those of a file."""
    lines, tree = source.splitlines(), ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    containers: dict[str, list[tuple[int, int]]] = {}
    for number, node in enumerate(ast.walk(tree)):
        kind = _kind(node, parents)
        if not kind or _is_equal(kind, lines, line := _line(node)):
            continue
        if kind == "key" and (container := _container(node, parents)):
            containers.setdefault(container, []).append((line + 1, number))
            continue
        for which in range(len(predicates(_text(node))) or 1):
            yield Mutant(file, line + 1, kind, (number,), which)
    for places in containers.values():
        yield Mutant(file, min(places)[0], "container", tuple(number for _, number in places))


def _container(node: ast.AST, parents: Parents) -> str:
    """Return what is asked with a key of which this is a part, as it is written; nothing if it is no container."""
    above = parents[node]
    key, above = (above, parents[above]) if isinstance(above, ast.Tuple) else (node, above)
    match above:
        case ast.Subscript(value=container, slice=asked) if asked is key:
            return ast.unparse(container)
        case ast.Call(func=ast.Attribute(value=container, attr=attr)) if attr in ASKED and key in above.args:
            return ast.unparse(container)
        case _:
            return ""


def _is_equal(kind: str, lines: Sequence[str], line: int) -> bool:
    """Return whether a comment says that a mutant here is none."""
    return any((mark := MARK.search(text)) and mark[1] == kind for text in lines[max(0, line - 1) : line + 1])


def _line(node: ast.AST) -> int:
    assert isinstance(node, ast.expr)
    return node.lineno - 1


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _kind(node: ast.AST, parents: Parents) -> str:
    above = parents.get(node)
    if predicates(_text(node)) and not isinstance(above, ast.Compare | ast.Expr):
        return "predicate"
    if isinstance(above, ast.keyword) and above.arg == "partition_key":
        return "partition"
    if isinstance(node, ast.Compare):
        return "check" if any(_is_compared(inner, parents) for inner in ast.walk(node)) else ""
    is_read = isinstance(getattr(node, "ctx", None), ast.Load)
    return "key" if is_read and names_tenant(node) and _is_key(node, parents) else ""


def _is_compared(node: ast.AST, parents: Parents) -> bool:
    """Return whether a tenant stands in a comparison itself, or in a text that is compared."""
    above = parents.get(node)
    if COMPARED.search(_text(node)):
        return isinstance(above, ast.Compare)
    return names_tenant(node) and not isinstance(above, ast.Attribute) and not _is_given(node, parents)


def _is_given(node: ast.AST, parents: Parents) -> bool:
    """Return whether a call takes this, or is of it, before anything is compared; what `replace` takes is compared."""
    above = parents.get(node)
    while isinstance(above, ast.expr) and not isinstance(above, ast.Compare):
        if isinstance(above, ast.Call) and _called(above) != "replace":
            return True
        above = parents.get(above)
    return False


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def names_tenant(node: ast.AST) -> bool:
    """Return whether this is a tenant's id: `tenant`, `x.tenant`, or one of `ALSO`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in NAMES:
            return True
        case ast.Attribute() | ast.Subscript():
            return ast.unparse(node) in ALSO
        case _:
            return False


def _is_key(node: ast.AST, parents: Parents) -> bool:
    """Return whether a tenant goes into a key, an id, a statement's values or what is made for the tenant."""
    inside, above = parents.get(node), parents.get(node)
    while inside is not None:
        if isinstance(inside, ast.Compare) and any(_is_compared(inner, parents) for inner in ast.walk(inside)):
            return False
        inside = parents.get(inside)
    match above:
        case ast.Tuple() | ast.List() | ast.FormattedValue() | ast.Dict():
            return True
        case ast.Subscript(slice=key):
            return key is node
        case ast.keyword(arg=name):
            return name in NAMES
        case ast.Call():
            return _called(above) in ASKED | GIVEN and node in above.args
        case _:
            return False
