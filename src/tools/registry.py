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
    """Raises `Defect` if two tools have one name."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise Defect(f"Two tools are named {tool.name}.", code="defect.tool")
            self._tools[tool.name] = tool

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    def get(self, name: str) -> Tool | None:
        return self._tools.get(name)

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
