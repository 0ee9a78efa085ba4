"""Injected instructions found by phrasing: a handful of rules, in a few languages, without any service.

What it misses and what it suspects wrongly is measured (docs/guards.md). Whoever knows the rules writes around them, so
nothing relies on it alone: it tightens, and what it misses meets the rest of the policies.
"""

from collections.abc import Iterable, Sequence

from guards.guard import Text
from guards.local.phrasing import is_suspicious


class LocalGuard:
    """Looks for phrases.

    Args:
        tools: names of tools; a stranger's text that speaks of one by its technical name is suspicious.
    """

    name = "local"

    def __init__(self, tools: Iterable[str] = ()) -> None:
        self._tools = tuple(tool for tool in tools if "_" in tool)

    async def suspects(self, texts: Sequence[Text]) -> Sequence[bool]:
        return [is_suspicious(text.text, self._tools) for text in texts]
