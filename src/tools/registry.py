"""All tools of the product by name."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import Defect
from tools.contract import Tool
from tools.schema import Schema


@dataclass(frozen=True, slots=True)
class Offer:
    """What a model is told of a tool."""

    name: str
    description: str
    parameters: Schema


class Registry:
    """Raises `Defect` if two tools have one name, or one is undone by what there is not, or in another form."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise Defect(f"Two tools are named {tool.name}.", code="defect.tool")
            self._tools[tool.name] = tool
        for tool in self._tools.values():
            self._check_undo(tool)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    def get(self, name: str) -> Tool | None:
        return self._tools.get(name)

    def _check_undo(self, tool: Tool) -> None:
        if (undo := tool.undone_by) is None:
            return
        by = self._tools.get(undo.tool)
        if by is None or by.parameter_names != frozenset(undo.arguments):
            raise Defect(f"Tool {tool.name} says that {undo.tool} undoes it, which does not fit.", code="defect.tool")

    def offers(self, names: Iterable[str]) -> list[Offer]:
        """Return what a model is told of the tools `names`, in that order.

        Raises:
            Defect: there is no such tool.
        """
        return [self._offer(name) for name in names]

    def _offer(self, name: str) -> Offer:
        tool = self._tools.get(name)
        if tool is None:
            raise Defect(f"An agent's manifest names a tool that does not exist: {name}", code="defect.tool")
        return Offer(name=tool.name, description=tool.description, parameters=tool.parameters)
