"""A source file as the rules see it, and what they find."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Finding:
    """What breaks a rule.

    Attributes:
        file: below `src`.
        rule: the name by which a marker allows it.
        message: the reason of the rule and what to do.
    """

    file: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"src/{self.file}:{self.line}: {self.rule}: {self.message}"


@dataclass(frozen=True, slots=True)
class Source:
    """A file; `file` is its name below `src`, such as `data/sqlite/log.py`."""

    file: str
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, file: str, text: str) -> "Source":
        return cls(file, text, ast.parse(text))

    def within(self, *folders: str) -> bool:
        return self.file.startswith(folders)

    def finding(self, node: ast.expr | ast.stmt | ast.alias, rule: str, message: str) -> Finding:
        return Finding(self.file, node.lineno, rule, message)

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    """Return the last name of what is called: `Permit` for `Permit(...)` and for `core.Permit(...)`."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def text_of(node: ast.expr, constants: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """Return a text that stands in the code; of an f-string what is fixed, with `{}` for the rest."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.FormattedValue(value=ast.Name(id=name)) if name in constants:
            return constants[name]
        case ast.JoinedStr(values=parts):
            return "".join(text_of(part, constants) or "{}" for part in parts)
        case _:
            return None
