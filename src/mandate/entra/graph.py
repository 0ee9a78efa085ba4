"""Microsoft Graph v1.0, as far as app registrations need it: bounded, and by token."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import cast

import aiohttp
from pydantic import JsonValue

from core.errors import Forbidden, Unavailable

SCOPE = "https://graph.microsoft.com/.default"
_TIMEOUT = aiohttp.ClientTimeout(total=30)

Thing = Mapping[str, JsonValue]


class Graph:
    """A client.

    Args:
        session: stays the caller's to close.
        token: returns a bearer token for a scope.
        base: of the API, with its version.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        token: Callable[[str], Awaitable[str]],
        base: str = "https://graph.microsoft.com/v1.0",
    ) -> None:
        self._session = session
        self._token = token
        self._base = base

    async def find(self, path: str) -> Thing | None:
        """Return one thing; None if it is not there."""
        return await self._ask("GET", path)

    async def all(self, path: str, **query: str) -> list[Thing]:
        """Return a whole collection, however many pages it has."""
        found: list[Thing] = []
        page = await self._ask("GET", path, query=query)
        while page is not None:
            found += cast("list[Thing]", page["value"])
            link = page.get("@odata.nextLink")
            page = await self._ask("GET", str(link).removeprefix(self._base)) if link else None
        return found

    async def create(self, path: str, thing: Thing) -> Thing:
        made = await self._ask("POST", path, thing)
        if made is None:
            raise Unavailable("Entra does not know yet what was just made. Run it again.", code="dependency.graph")
        return made

    async def update(self, path: str, changes: Thing) -> None:
        await self._ask("PATCH", path, changes)

    async def delete(self, path: str) -> None:
        await self._ask("DELETE", path)

    async def _ask(
        self, method: str, path: str, body: Thing | None = None, query: Mapping[str, str] | None = None
    ) -> Thing | None:
        """Return the answer; None where there is nothing, or nothing to say.

        Raises:
            Forbidden: these rights do not do (`access.graph`).
            Unavailable: Graph does not answer, or not as expected (`dependency.graph`).
        """
        headers = {"Authorization": f"Bearer {await self._token(SCOPE)}"}
        try:
            async with self._session.request(
                method, f"{self._base}{path}", json=body, params=query, headers=headers, timeout=_TIMEOUT
            ) as response:
                if response.status == HTTPStatus.NOT_FOUND:
                    return None
                if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                    raise Forbidden(
                        "Entra does not let you do this: it takes a Cloud Application Administrator, and a Privileged "
                        "Role Administrator for roles and consent.",
                        code="access.graph",
                    )
                if not response.ok:
                    message = f"Entra refused {method} {path.partition('(')[0]} with {response.status}."
                    raise Unavailable(message, code="dependency.graph")
                return await response.json() if await response.read() else None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("Microsoft Graph does not answer. Run it again.", code="dependency.graph") from error
