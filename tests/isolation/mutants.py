"""Every place in the code that keeps tenants apart, each taken away in turn.

A `predicate` is `tenant = ?` in a statement: the mutant lets any tenant pass. A `check` compares tenants: the mutant
finds them equal. A `key` is a tenant that goes into a key, an id or an event: in the mutant it is the same for all. So
it is in a `container`, such as a cache, in all places where it is asked.

A mutant that changes nothing for anybody has a comment on its line or the one before, with the reason:
`# mandate: equal[key] - why`.
"""

import ast
import copy
import gc
import importlib
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mandate.settings import ROOT

SRC = ROOT / "src"
LAYERS = ("core", "telemetry", "data", "models", "tools", "web", "control", "orchestration", "interaction")
NOT_YET = (
    *("data/cosmos/", "data/sqlite/governed.py", "data/sqlite/platform.py", "data/sqlite/vectors.py:84"),
    *(
        "control/records.py:127",
        "control/routes/tenants.py:165",
        "control/erasures.py",
        "control/contexts.py:90",
        "orchestration/erasing.py",
        "orchestration/erasure.py",
    ),
    "orchestration/store_driver.py:47",
)
"""Where mutants are made, and no test was yet shown to notice all of them: they are counted and not tried."""

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
MARK = re.compile(r"# mandate: equal\[(\w+)\] - \S")
Parents = Mapping[ast.AST, ast.AST]
Place = tuple[str, int, str]

SAME = "ten_00000000000000000000000000"


@dataclass(frozen=True)
class Mutant:
    """Attributes:
    line: where it is, or where the first of its places is.
    nodes: by their number in the walk over the tree. A container that is asked in many places has one mutant.
    which: of the predicates in a text.
    """

    file: str
    line: int
    kind: str
    nodes: tuple[int, ...]
    which: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.kind}"


def mutants() -> Iterator[Mutant]:
    """Yield all that are tried, in the order of the files."""
    return (mutant for mutant in every_mutant() if not str(mutant).startswith(NOT_YET))


def every_mutant() -> Iterator[Mutant]:
    """Yield all that there are."""
    for layer in LAYERS:
        for path in sorted((SRC / layer).rglob("*.py")):
            yield from _of_file(path)


def _of_file(path: Path) -> Iterator[Mutant]:
    source = path.read_text()
    file, lines = path.relative_to(SRC).as_posix(), source.splitlines()
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    containers: dict[str, list[tuple[int, int]]] = {}
    for number, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for which in range(node.value.count(PREDICATE)):
                yield Mutant(file, node.lineno, "predicate", (number,), which)
        elif (kind := _kind(node, parents)) and not _is_equal(kind, lines, line := _line(node)):
            if kind == "key" and (container := _container(node, parents)):
                containers.setdefault(container, []).append((line + 1, number))
            else:
                yield Mutant(file, line + 1, kind, (number,))
    for places in containers.values():
        yield Mutant(file, min(places)[0], "container", tuple(number for _, number in places))


def _container(node: ast.AST, parents: Parents) -> str:
    """Return what is asked with a key of which this is a part, as it is written; nothing if it is no container."""
    above = parents[node]
    key, above = (above, parents[above]) if isinstance(above, ast.Tuple) else (node, above)
    match above:
        case ast.Subscript(value=container, slice=asked) if asked is key:
            return ast.unparse(container)
        case ast.Call(func=ast.Attribute(value=container, attr=attr)) if attr in KEYED and key in above.args:
            return ast.unparse(container)
        case _:
            return ""


def _is_equal(kind: str, lines: Sequence[str], line: int) -> bool:
    """Return whether a comment says that a mutant here is none."""
    return any((mark := MARK.search(text)) and mark[1] == kind for text in lines[max(0, line - 1) : line + 1])


def _line(node: ast.AST) -> int:
    assert isinstance(node, ast.expr)
    return node.lineno - 1


def _kind(node: ast.AST, parents: Parents) -> str:
    if isinstance(node, ast.Compare):
        return "check" if any(_is_compared(inner, parents) for inner in ast.walk(node)) else ""
    is_read = isinstance(getattr(node, "ctx", None), ast.Load)
    return "key" if is_read and _names_tenant(node) and _is_key(node, parents) else ""


def _is_compared(node: ast.AST, parents: Parents) -> bool:
    """Return whether a tenant stands in a comparison itself, or in a text that is compared."""
    above = parents.get(node)
    within = isinstance(above, ast.Call) and _called(above) != "replace"
    return _names_tenant(node) and not within and not isinstance(above, ast.Attribute) and not _is_function(node, above)


def _is_function(node: ast.AST, above: ast.AST | None) -> bool:
    return isinstance(above, ast.Call) and above.func is node


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _names_tenant(node: ast.AST) -> bool:
    """Return whether this is a tenant's id: `tenant`, `x.tenant`, or `tenant.id` of its record."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in NAMES or ast.unparse(node) == "tenant.id"
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
            return _called(above) in KEYED and node in above.args
        case _:
            return False


def apply(mutant: Mutant) -> None:
    """Change the code that runs in this process; what was imported from the module before is changed as well."""
    path = SRC / mutant.file
    importlib.import_module(mutant.file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    _Change([nodes[number] for number in mutant.nodes], mutant.which).visit(tree)
    trees = ast.parse(path.read_text()), ast.fix_missing_locations(tree)
    old, new = (_codes(compile(tree, str(path), "exec")) for tree in trees)
    different = {place for place in old if old[place] != new[place]}
    assert different, f"{mutant} changes nothing"
    functions = [f for f in gc.get_objects() if isinstance(f, types.FunctionType) and _place(f.__code__) in different]
    assert {_place(function.__code__) for function in functions} == different, f"{mutant}: not all of {different}"
    for function in functions:
        function.__code__ = new[_place(function.__code__)]


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
    def __init__(self, nodes: Sequence[ast.AST], which: int) -> None:
        self.nodes, self.which = nodes, which

    def visit(self, node: ast.AST) -> ast.AST:
        if not any(node is chosen for chosen in self.nodes):
            return super().generic_visit(node)
        match node:
            case ast.Constant(value=str(text)):
                changed: ast.expr = ast.Constant(_without(text, self.which))
            case ast.Compare():
                changed = _passing(node)
            case _:
                changed = ast.Constant(SAME)
        return ast.copy_location(changed, node)


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
        same = copy.deepcopy(compare)
        _SameTenant().visit(same)
        return same
    return ast.Constant(not isinstance(compare.ops[0], ast.NotEq | ast.NotIn | ast.IsNot))


class _SameTenant(ast.NodeTransformer):
    def visit(self, node: ast.AST) -> ast.AST:
        return ast.copy_location(ast.Constant(SAME), node) if _names_tenant(node) else super().generic_visit(node)
