"""Every place in the code that keeps tenants apart, each taken away in turn.

There are three kinds. A `predicate` is `tenant = ?` in a statement; the mutant lets any tenant pass. A `check` compares
tenants; the mutant finds them equal. A `key` is a tenant that goes into a key, an id or an event; in the mutant it is the
same for all.
"""

import ast
import copy
import gc
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mandate.settings import ROOT

SRC = ROOT / "src"
LAYERS = ("core", "telemetry", "data", "models", "tools", "web", "control", "orchestration", "interaction")
NAMES = {"tenant", "_tenant", "tenant_id", "tid"}
KEYED = {
    "get",
    "setdefault",
    "pop",
    "add",
    "forget",
    "take",
    "leave",
    "follow",
    "derived_id",
    "canonical",
    "log_run",
    "_place",
}
"""What is called with a key, or with what an id is made of."""

PREDICATE = "tenant = ?"
MARK = "# mandate: equal["
SAME = "ten_00000000000000000000000000"


@dataclass(frozen=True)
class Mutant:
    """Attributes:
    place: the node, by its number in the walk over the tree; for a predicate also which of those in the text.
    line: where it is.
    """

    file: str
    line: int
    kind: str
    place: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.kind}"


def mutants() -> Iterator[Mutant]:
    """Yield all that there are, in the order of the files."""
    for layer in LAYERS:
        for path in sorted((SRC / layer).rglob("*.py")):
            yield from _of_file(path)


def _of_file(path: Path) -> Iterator[Mutant]:
    source = path.read_text()
    file, lines = path.relative_to(SRC).as_posix(), source.splitlines()
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for number, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for which in range(node.value.count(PREDICATE)):
                yield Mutant(file, node.lineno, "predicate", (number, which))
        elif kind := _kind(node, parents):
            if MARK not in lines[node.lineno - 1]:
                yield Mutant(file, node.lineno, kind, (number, 0))


def _kind(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> str:
    if isinstance(node, ast.Compare):
        return "check" if any(map(_names_tenant, ast.walk(node))) else ""
    if _names_tenant(node) and isinstance(node.ctx, ast.Load) and _is_key(node, parents):  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - a name or an attribute
        return "key"
    return ""


def _names_tenant(node: ast.AST) -> bool:
    return (isinstance(node, ast.Name) and node.id in NAMES) or (isinstance(node, ast.Attribute) and node.attr in NAMES)


def _is_key(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    above: ast.AST | None = parents.get(node)
    inside = above
    while inside is not None:
        if isinstance(inside, ast.Compare | ast.arg | ast.AnnAssign):
            return False
        inside = parents.get(inside)
    match above:
        case ast.Tuple() | ast.List() | ast.FormattedValue() | ast.Dict():
            return True
        case ast.Subscript(slice=key):
            return key is node
        case ast.keyword(arg=name):
            return name in NAMES
        case ast.Call(func=ast.Attribute(attr=called) | ast.Name(id=called)):
            return called in KEYED and node in above.args
        case _:
            return False


def apply(mutant: Mutant) -> None:
    """Change the code that runs in this process; what was imported from the module before is changed as well."""
    path = SRC / mutant.file
    tree = ast.parse(path.read_text())
    number, which = mutant.place
    node = list(ast.walk(tree))[number]
    changed = _Change(node, mutant.kind, which).visit(tree)
    old, new = (
        _codes(compile(t, str(path), "exec")) for t in (ast.parse(path.read_text()), ast.fix_missing_locations(changed))
    )
    different = {place for place in old if old[place] != new[place]}
    assert len(different) == 1, f"{mutant} changes {different}"
    place = different.pop()
    functions = [f for f in gc.get_objects() if isinstance(f, types.FunctionType) and _place(f.__code__) == place]
    assert functions, f"{mutant}: {place} is not there"
    for function in functions:
        function.__code__ = new[place]


Place = tuple[str, int, str]


def _place(code: types.CodeType) -> Place:
    return code.co_filename, code.co_firstlineno, code.co_qualname


def _codes(code: types.CodeType, within: str = "module") -> dict[Place, types.CodeType]:
    """Return the code of each function that stands in no other."""
    found: dict[Place, types.CodeType] = {}
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            is_class = inner.co_flags & 2 == 0  # a class's body has no local variables of the fast kind
            found |= _codes(inner) if is_class else {_place(inner): inner}
    return found


class _Change(ast.NodeTransformer):
    def __init__(self, node: ast.AST, kind: str, which: int) -> None:
        self.node, self.kind, self.which = node, kind, which

    def visit(self, node: ast.AST) -> ast.AST:
        if node is not self.node:
            return super().generic_visit(node)
        match self.kind, node:
            case "predicate", ast.Constant(value=str(text)):
                return ast.copy_location(ast.Constant(_without(text, self.which)), node)
            case "check", ast.Compare():
                return ast.copy_location(_passing(node), node)
            case _:
                return ast.copy_location(ast.Constant(SAME), node)


def _without(text: str, which: int) -> str:
    """Return the statement with a predicate less; as many values are bound to it as before."""
    parts = text.split(PREDICATE)
    return (
        PREDICATE.join(parts[: which + 1])
        + "? IS NOT NULL"
        + PREDICATE.join(["", *parts[which + 1 :]])[len(PREDICATE) :]
    )


def _passing(compare: ast.Compare) -> ast.expr:
    """Return a comparison that comes out as if the tenants were the same."""
    sides = [compare.left, *compare.comparators]
    if all(any(map(_names_tenant, ast.walk(side))) for side in sides):
        return _SameTenant().visit(copy.deepcopy(compare))
    return ast.Constant(not isinstance(compare.ops[0], ast.NotEq | ast.NotIn | ast.IsNot))


class _SameTenant(ast.NodeTransformer):
    def visit(self, node: ast.AST) -> ast.AST:
        return ast.copy_location(ast.Constant(SAME), node) if _names_tenant(node) else super().generic_visit(node)
