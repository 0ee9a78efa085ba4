"""Taking away, in the code that runs in this process, what keeps tenants apart: one mutant of `mutants`."""

import ast
import copy
import gc
import importlib
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

from mutants import SCHEMA, SRC, Mutant, names_tenant, predicates, without_key

SAME = "ten_00000000000000000000000000"
"""The tenant that all have in a mutant."""

Place = tuple[str, int, str]


def apply(mutant: Mutant) -> None:
    """Change the code that runs in this process; what was imported from the module before is changed as well."""
    if mutant.file == SCHEMA:
        _apply_to_schema(mutant)
        return
    path = SRC / mutant.file
    name = mutant.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    module = importlib.import_module(name)
    before, after = ast.parse(path.read_text()), ast.parse(path.read_text())
    nodes = list(ast.walk(after))
    _Change(mutant, [nodes[number] for number in mutant.nodes]).visit(after)
    ast.fix_missing_locations(after)
    changed = _change_functions(mutant, path, before, after) or _change_constants(module, before, after)
    assert changed, f"{mutant} changes nothing"


def _apply_to_schema(mutant: Mutant) -> None:
    """Have new files made by a schema that lacks the tenant in a key."""
    changed = Path(mkdtemp()) / "schema.sql"
    changed.write_text(without_key((SRC / SCHEMA).read_text(), mutant.which))
    connections = vars(importlib.import_module("data.sqlite.connections"))
    assert connections["_SCHEMA"] == SRC / SCHEMA
    connections["_SCHEMA"] = changed


def _change_functions(mutant: Mutant, path: Path, before: ast.Module, after: ast.Module) -> bool:
    old, new = (_codes(compile(tree, str(path), "exec")) for tree in (before, after))
    different = {place for place in old if old[place] != new[place]}
    functions = [f for f in gc.get_objects() if isinstance(f, types.FunctionType) and _place(f.__code__) in different]
    assert {_place(function.__code__) for function in functions} == different, f"{mutant}: not all of {different}"
    for function in functions:
        function.__code__ = new[_place(function.__code__)]
    return bool(different)


def _change_constants(module: types.ModuleType, before: ast.Module, after: ast.Module) -> bool:
    """Make the module's texts anew, those that others are put together of first; return whether any is another."""
    is_changed = False
    for old, new in zip(before.body, after.body, strict=True):
        match new:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant() | ast.JoinedStr() | ast.Tuple() as value):
                told = eval(compile(ast.Expression(value), module.__file__ or "", "eval"), vars(module))
            case _:
                assert ast.dump(old) == ast.dump(new), f"{ast.unparse(new)} cannot be changed"
                continue
        if told != getattr(module, name):
            assert not _others(module, name), f"{name} was imported elsewhere"
            setattr(module, name, told)
            is_changed = True
    return is_changed


def _others(module: types.ModuleType, name: str) -> list[types.ModuleType]:
    value = getattr(module, name)
    return [other for other in sys.modules.values() if other is not module and vars(other).get(name) is value]


def _place(code: types.CodeType) -> Place:
    return code.co_filename, code.co_firstlineno, code.co_qualname


def _codes(code: types.CodeType) -> dict[Place, types.CodeType]:
    """Return the code of each function that stands in no other."""
    found: dict[Place, types.CodeType] = {}
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            is_class = inner.co_flags & 2 == 0  # a class's body has no local variables of the fast kind
            found |= _codes(inner) if is_class else {_place(inner): inner}
    return found


class _Change(ast.NodeTransformer):
    def __init__(self, mutant: Mutant, nodes: Sequence[ast.AST]) -> None:
        self.mutant, self.nodes = mutant, nodes

    def visit(self, node: ast.AST) -> ast.AST:
        if not any(node is chosen for chosen in self.nodes):
            return super().generic_visit(node)
        match node:
            case ast.Constant(value=str(text)):
                changed: ast.expr = ast.Constant(_without(text, self.mutant.which))
            case ast.Compare():
                changed = _passing(node)
            case _:
                changed = ast.Constant(None if self.mutant.kind == "partition" else SAME)
        return ast.copy_location(changed, node)


def _without(text: str, which: int) -> str:
    """Return the statement with a predicate less."""
    start, end, instead = predicates(text)[which]
    return text[:start] + instead + text[end:]


def _passing(compare: ast.Compare) -> ast.expr:
    """Return a comparison that comes out as if the tenants were the same."""
    sides = [compare.left, *compare.comparators]
    if all(any(map(names_tenant, ast.walk(side))) for side in sides):
        same = copy.deepcopy(compare)
        _SameTenant().visit(same)
        return same
    return ast.Constant(not isinstance(compare.ops[0], ast.NotEq | ast.NotIn | ast.IsNot))


class _SameTenant(ast.NodeTransformer):
    def visit(self, node: ast.AST) -> ast.AST:
        return ast.copy_location(ast.Constant(SAME), node) if names_tenant(node) else super().generic_visit(node)
