"""What has an effect takes a `Permit` and spends it: so nothing can be done that forgets the gate."""

import ast
from collections.abc import Iterator, Mapping

from mandate.lint.sources import Finding, Source, called

RULE = "effect-permit"

_WITHOUT = "This has an effect and takes no `Permit`: take one, and spend it before anything else is done."
_UNSPENT = "This takes a `Permit` and neither spends it nor hands it on: spend it before anything else is done."

NETWORK = {"request", "get", "post", "put", "patch", "delete", "complete", "embed", "send"}
"""What is called to reach somebody, on something whose name says that it is a session or a client."""

KNOWLEDGE = {"write_passage", "upsert_all", "matching", "nearest", "_nearest", "_worded"}
"""What is called to write passages, or to rank them."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def without_permit(source: Source) -> Iterator[Finding]:
    """Yield the public functions that have an effect, by themselves or by others of their file, without a permit."""
    if not (source.within("tools/", "models/") or source.file.endswith("/knowledge.py")):
        return
    functions = {function.name: function for function in _functions(source.tree)}
    for function in functions.values():
        if function.name.startswith("_") or not _has_effect(source, function, functions, set()):
            continue
        proof = _proof(function)
        if proof is None:
            yield source.finding(function, RULE, _WITHOUT)
        elif not _is_used(function, proof):
            yield source.finding(function, RULE, _UNSPENT)


def _functions(tree: ast.Module | ast.ClassDef) -> Iterator[Function]:
    """Yield functions and methods; what stands inside of one is part of it."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(node)
        elif isinstance(node, Function):
            yield node


def _has_effect(source: Source, function: Function, functions: Mapping[str, Function], seen: set[str]) -> bool:
    seen.add(function.name)
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    if any(_is_effect(source, call) for call in calls):
        return True
    inner = {called(call) for call in calls if _is_own(call)} & functions.keys() - seen
    return any(_has_effect(source, functions[name], functions, seen) for name in inner)


def _is_own(call: ast.Call) -> bool:
    """Return whether a function of this file is called, as `name(...)` or `self.name(...)`."""
    match call.func:
        case ast.Name() | ast.Attribute(value=ast.Name(id="self")):
            return True
        case _:
            return False


def _is_effect(source: Source, call: ast.Call) -> bool:
    if source.file.endswith("/knowledge.py"):
        return called(call) in KNOWLEDGE
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in NETWORK:
        return False
    reached = ast.unparse(call.func.value).lower()
    return any(word in reached for word in ("session", "client", "http", "adapter"))


def _proof(function: Function) -> str | None:
    """Return the parameter that is a permit, or a tool's call, which the executor makes for a permit."""
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    types = {argument.arg: ast.unparse(argument.annotation) for argument in arguments if argument.annotation}
    return next((name for name, type_ in types.items() if type_.endswith(("Permit", "ToolCall"))), None)


def _is_used(function: Function, proof: str) -> bool:
    """Return whether the proof is spent, or given to what is called."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            used = [node.func.value] if isinstance(node.func, ast.Attribute) else []
            used += [*node.args, *(keyword.value for keyword in node.keywords)]
            names = {part.id for expression in used for part in ast.walk(expression) if isinstance(part, ast.Name)}
            if proof in names:
                return True
    return False
