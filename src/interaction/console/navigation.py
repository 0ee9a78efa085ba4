"""Which pages there are: every module of `pages` has a `router`, and an `ENTRY` if it belongs into the menu."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from fastapi import APIRouter

from core import PUBLISHER, Role, TenantContext
from interaction.console import pages
from interaction.dependencies import InteractionDependencies


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the menu.

    Attributes:
        name: the texts are `nav.<name>` and `nav.<name>.about`.
        path: of the page; everything below it belongs to the entry too.
        icon: name of a symbol in `templates/icons.html`.
        position: entries stand in this order.
        roles: who sees it; who does not may not read the page either.
        count: how many things wait there for somebody; shown beside the entry. It reads the store once.
        below: other paths whose pages belong to the entry.
        alone: what is below its path does not belong to it.
        of_publisher: it is for the publisher's own people, and for nobody else.
    """

    name: str
    path: str
    icon: str
    position: int
    roles: tuple[Role, ...] = tuple(Role)
    count: Callable[[TenantContext, InteractionDependencies], Awaitable[int]] | None = None
    below: tuple[str, ...] = ()
    of_publisher: bool = False
    alone: bool = False

    def holds(self, path: str) -> bool:
        """Return whether a page belongs to this entry."""
        above = (self.path, *self.below)
        return (
            path in above
            if self.alone
            else path in above or path.startswith(tuple(f"{known}/" for known in above if known != "/"))
        )


@cache
def _modules() -> Sequence[ModuleType]:
    names = sorted(module.name for module in pkgutil.iter_modules(pages.__path__, f"{pages.__name__}."))
    return [importlib.import_module(name) for name in names]


def page_routers() -> list[APIRouter]:
    return [module.router for module in _modules()]


def entries(me: TenantContext) -> list[Entry]:
    """Return the menu of somebody."""
    found: list[Entry] = [module.ENTRY for module in _modules() if hasattr(module, "ENTRY")]
    theirs = [entry for entry in found if entry.of_publisher == (me.tenant == PUBLISHER) and me.has(*entry.roles)]
    return sorted(theirs, key=lambda entry: entry.position)


async def counts(me: TenantContext, deps: InteractionDependencies) -> Mapping[str, int]:
    """Return how much waits for somebody, by the names of the entries that count."""
    return {entry.name: await entry.count(me, deps) for entry in entries(me) if entry.count}
