"""Where a tenant comes from: a `TenantContext` is made in one place, and no caller says for which tenant they ask."""

import ast
import re
from collections.abc import Iterator

from mandate.lint.sources import Finding, Source, called, text_of

CONTEXT, FROM_REQUEST, PERMIT = "tenant-context", "tenant-from-request", "effect-permit"

MAKERS = {
    "TenantContext": ("control/contexts.py", CONTEXT, "from a proof: add a function there"),
    "Permit": ("control/gate.py", PERMIT, "after the decision is on disk: ask the gate"),
}
"""What is made in one file alone, and when."""

_MOVED = "A context is not moved to another tenant or principal: make one in control/contexts.py, from a proof."
_NAMED = "Who asks does not say for which tenant: the tenant comes from the context that the credential gives."

_TENANT = re.compile(r"tenant|\btid\b|organi[sz]ation", re.IGNORECASE)
_EDGES = ("interaction/", "orchestration/", "control/routes/")


def made_elsewhere(source: Source) -> Iterator[Finding]:
    """Yield where a context or a permit is made, renamed, inherited or changed outside its one place."""
    for node in ast.walk(source.tree):
        for name, (file, rule, when) in MAKERS.items():
            if source.file != file and _makes(node, name):
                assert isinstance(node, ast.expr | ast.stmt | ast.alias)
                yield source.finding(node, rule, f"`{name}` is made in {file} alone, {when}.")
        if isinstance(node, ast.Call) and _moves(node):
            yield source.finding(node, CONTEXT, _MOVED)


def _moves(call: ast.Call) -> bool:
    changes = {keyword.arg for keyword in call.keywords}
    return called(call) in ("replace", "__replace__", "__setattr__") and bool({"tenant", "principal", None} & changes)


def _makes(node: ast.AST, name: str) -> bool:
    match node:
        case ast.Call():
            return called(node) == name
        case ast.alias(name=imported, asname=other):
            return imported.rpartition(".")[2] == name and other not in (None, name)
        case ast.ClassDef(bases=bases):
            return any(isinstance(base, ast.Name) and base.id == name for base in bases)
        case _:
            return False


def named_by_caller(source: Source) -> Iterator[Finding]:
    """Yield where a route takes a tenant from its path, query, headers, cookies or body."""
    if source.within(*_EDGES):
        for node in ast.walk(source.tree):
            for name, line in _given(source, node):
                if _TENANT.search(name):
                    yield Finding(source.file, line, FROM_REQUEST, _NAMED)


def _given(source: Source, node: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the names of what a caller can say here, each with its line."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() if _is_route(node):
            yield from ((argument.arg, argument.lineno) for argument in (*node.args.args, *node.args.kwonlyargs))
        case ast.Call() if called(node) in ("Header", "Query", "Cookie", "Path", "Form", "Body"):
            yield from ((text_of(k.value) or "", node.lineno) for k in node.keywords if k.arg == "alias")
        case ast.Call(func=ast.Attribute(value=bag), args=[key, *_]) | ast.Subscript(value=bag, slice=key):
            yield (text_of(key) or "", node.lineno) if _is_request_bag(bag) else ("", 0)
        case ast.ClassDef() if _is_given(source, node):
            fields = [field for field in node.body if isinstance(field, ast.AnnAssign)]
            yield from ((ast.unparse(field.target), field.lineno) for field in fields)
        case _:
            pass


def _is_route(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(by, ast.Call) and "router." in ast.unparse(by.func) for by in function.decorator_list)


def _is_request_bag(node: ast.expr) -> bool:
    bags = ("headers", "query_params", "path_params", "cookies")
    return isinstance(node, ast.Attribute) and node.attr in bags


def _is_given(source: Source, model: ast.ClassDef) -> bool:
    """Return whether a model is what callers send; in `control/routes` it is unless its name says that it is told."""
    bases = {ast.unparse(base) for base in model.bases}
    told = model.name.endswith(("View", "Page", "Told"))
    return bool(bases & {"Given", "_Body"}) or (source.within("control/routes/") and "BaseModel" in bases and not told)
