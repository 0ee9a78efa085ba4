"""Managed applications: as ARM has them, and as the platform tells the publisher of them.

https://learn.microsoft.com/azure/azure-resource-manager/managed-applications/publish-notifications
https://learn.microsoft.com/rest/api/managedapplications/applications/get
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from uuid import uuid4

import aiohttp
import orjson
from starlette.requests import Request
from starlette.responses import Response

from core import Clock
from core.clock import timestamp
from core.errors import MandateError, Unauthenticated
from emulators.marketplace.book import Book, ManagedApplication, State, Told
from emulators.marketplace.catalogue import Catalogue
from emulators.marketplace.errors import bad, body_of, missing

API_VERSION = "2021-07-01"
_PATH = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Solutions/applications/{name}"
_LONGEST_DELAY = 60.0
_SECONDS = 10.0
_EVENTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "deploy": (("PUT", "Accepted"), ("PUT", "Succeeded")),
    "fail": (("PUT", "Failed"),),
    "upgrade": (("PATCH", "Succeeded"),),
    "delete": (("DELETE", "Deleting"), ("DELETE", "Deleted")),
}
"""What is told of each thing that a customer does: the kind of event, and the state then."""

Authorize = Callable[[str], Awaitable[None]]


class Managed:
    """Keeps applications, answers for them as ARM, and tells the publisher until it is heard.

    Args:
        authorize: called with the bearer token of whoever reads an application.
        url: what the offer names for notifications, with its secret as `sig`; `/resource` goes behind its path.
        session: stays the caller's to close.
    """

    def __init__(
        self,
        book: Book,
        catalogue: Catalogue,
        clock: Clock,
        authorize: Authorize,
        url: str,
        session: aiohttp.ClientSession,
    ) -> None:
        self._book = book
        self._catalogue = catalogue
        self._clock = clock
        self._authorize = authorize
        address, _, query = url.partition("?")
        self._url = f"{address}/resource?{query}"
        self._session = session

    async def read(self, request: Request) -> Response:
        """Answer as ARM does: an application that is deleted is not there."""
        try:
            scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not bearer:
                raise Unauthenticated("Send a token for Azure Resource Manager.")
            await self._authorize(bearer)
            if request.query_params.get("api-version") != API_VERSION:
                raise bad(f"api-version must be {API_VERSION}.")
            found = self._book.state.applications.get(request.url.path.removeprefix("/arm").lower())
            if found is None or found.state == "Deleted":
                raise missing("The Resource was not found.")
            return _json(_shown(found))
        except MandateError as error:
            return _json(body_of(error), error.status)

    async def do(self, act: str, name: str, plan: str, beats_as: tuple[str, str] = ("", "")) -> ManagedApplication:
        """Do as the customer: deploy one of this name, have that fail, take it to a newer version, or delete it."""
        if act not in _EVENTS or self._catalogue.plan(plan) is None or not (name.isascii() and name.isidentifier()):
            raise bad("There is no such plan, or nothing of that name to do.")
        async with self._book.changing() as state:
            key = path_of(name).lower()
            found = state.applications.get(key) or _made(name, plan, beats_as)
            state.applications[key] = found
            if act == "upgrade":
                found.plan_version = "1.1.0"
            for kind, becomes in _EVENTS[act]:
                found.state = becomes
                self._tell(state, found, kind, becomes)
        return found

    async def send_due(self) -> None:
        """Tell what is due, in order; what is not heard is told again later."""
        now = self._clock.now().timestamp()
        for told in [one for one in self._book.state.told if one.due <= now]:
            status = await self._send(told)
            async with self._book.changing() as state:
                rest = [one for one in state.told if one.id != told.id]
                if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    later = now + min(_LONGEST_DELAY, 2.0**told.attempt)
                    rest.append(told.model_copy(update={"attempt": told.attempt + 1, "due": later}))
                state.told = rest

    def _tell(self, state: State, found: ManagedApplication, kind: str, becomes: str) -> None:
        body: dict[str, object] = {
            "eventType": kind,
            "applicationId": found.id.removeprefix("/"),  # as some samples have it
            "eventTime": timestamp(self._clock.now()),
            "provisioningState": becomes,
            "billingDetails": {"resourceUsageId": found.usage},
            "plan": _plan(found),
        }
        if becomes == "Failed":
            body["error"] = {"code": "DeploymentFailed", "message": "It did not work.", "details": []}
        due = self._clock.now().timestamp()
        state.told.append(Told(id=str(uuid4()), body=orjson.dumps(body).decode(), due=due))

    async def _send(self, told: Told) -> int:
        headers = {"Content-Type": "application/json"}
        try:
            async with (
                asyncio.timeout(_SECONDS),
                self._session.post(self._url, data=told.body, headers=headers) as response,
            ):
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return HTTPStatus.SERVICE_UNAVAILABLE.value


def path_of(name: str) -> str:
    """Return the id at Azure of the customer's application of this name."""
    return _PATH.format(subscription="3f0a8f52-6c0b-4e7a-9d55-0b7a3d1c2e4f", group="mandate-rg", name=name)


def _made(name: str, plan: str, beats_as: tuple[str, str]) -> ManagedApplication:
    return ManagedApplication(
        id=path_of(name), name=name, plan=plan, usage=str(uuid4()), state="Accepted", beats_as=beats_as
    )


def _plan(found: ManagedApplication) -> Mapping[str, str]:
    return {
        "publisher": "mandate",
        "product": found.product,
        "name": found.plan,
        "version": found.plan_version,
    }


def _shown(found: ManagedApplication) -> Mapping[str, object]:
    tid, oid = found.beats_as
    outputs = {"heartbeatTenant": {"type": "String", "value": tid}, "heartbeatPrincipal": {"value": oid}}
    properties = {
        "provisioningState": found.state,
        "billingDetails": {"resourceUsageId": found.usage},
        "outputs": outputs,
    }
    about = {"id": found.id, "name": found.name, "type": "Microsoft.Solutions/applications", "location": "westeurope"}
    return {**about, "kind": "MarketPlace", "plan": _plan(found), "properties": properties}


def _json(document: object, status: int = HTTPStatus.OK) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")
