"""The marketplace as an application: its API, its storefront, and what can be made to go wrong."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import aiohttp
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from core import Clock, SystemClock
from core.errors import BadRequest, MandateError, Unauthenticated
from emulators.local_only import refuse_outside_local
from emulators.marketplace.api import Api
from emulators.marketplace.book import Book
from emulators.marketplace.catalogue import Catalogue
from emulators.marketplace.errors import body_of
from emulators.marketplace.faults import Faults
from emulators.marketplace.managed import Managed
from emulators.marketplace.storefront import Storefront
from emulators.marketplace.webhooks import Token, Webhooks

API_VERSION = "2018-08-31"
MAX_BODY = 1_000_000

Authorize = Callable[[str], Awaitable[None]]
"""Called with the bearer token: 401 where it proves nothing, 403 where it is not of the offer's own application."""

Work = Callable[[Request], Awaitable[Response]]


def create_app(
    *,
    authorize: Authorize,
    catalogue: Catalogue,
    folder: Path,
    webhook: str,
    landing: str,
    token: Token,
    session: aiohttp.ClientSession,
    clock: Clock | None = None,
    page_size: int = 100,
    reads: Authorize | None = None,
    applications: str = "",
) -> Starlette:
    """Return the server, with what its file holds. Reads a file: call it before the event loop starts.

    Args:
        authorize: see `Authorize`.
        catalogue: what is sold.
        folder: where the file is kept.
        webhook: where the publisher is told.
        landing: the publisher's landing page.
        token: gives the token that webhooks carry.
        session: for webhooks; stays the caller's to close.
        clock: the system's if None.
        page_size: subscriptions in a page of the list.
        reads: called with the token of whoever reads a managed application, as `authorize` is; the same if None.
        applications: where the publisher is told of managed applications, with its secret; nowhere if empty.

    Raises:
        Defect: this is not a local environment (`defect.emulator`), or the file cannot be read.
    """
    refuse_outside_local()
    time, book = clock or SystemClock(), Book(folder / "marketplace.json")
    webhooks = Webhooks(book, catalogue, webhook, token, session, time)
    doors = _Doors(authorize, webhooks)
    managed = Managed(book, catalogue, time, reads or authorize, applications, session)
    api, store = Api(book, catalogue, time, page_size), Storefront(book, catalogue, time, landing, managed)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        sending = asyncio.create_task(webhooks.run(managed.send_due if applications else None))
        yield
        sending.cancel()

    one = "/api/saas/subscriptions/{id}"
    asked: Mapping[tuple[str, str], Work] = {
        ("POST", "/api/saas/subscriptions/resolve"): api.resolve,
        ("GET", "/api/saas/subscriptions"): api.list_all,
        ("GET", one): api.get,
        ("PATCH", one): api.change,
        ("DELETE", one): api.cancel,
        ("POST", f"{one}/activate"): api.activate,
        ("GET", f"{one}/listAvailablePlans"): api.plans,
        ("GET", f"{one}/operations"): api.operations,
        ("GET", f"{one}/operations/{{operation}}"): api.operation,
        ("PATCH", f"{one}/operations/{{operation}}"): api.acknowledge,
        ("POST", "/api/usageEvent"): api.usage_event,
        ("POST", "/api/batchUsageEvent"): api.usage_batch,
        ("GET", "/api/usageEvents"): api.usage_events,
    }
    routes = [Route("/healthz", _healthy, methods=["GET"])]
    routes += [Route(path, doors.api(work), methods=[method]) for (method, path), work in asked.items()]
    routes += [
        Route("/faults", doors.page(doors.set_faults), methods=["POST"]),
        Route("/shop", doors.page(store.show), methods=["GET"]),
        Route("/shop/buy", doors.page(store.buy), methods=["POST"]),
        Route("/arm/{id:path}", managed.read, methods=["GET"]),
        Route("/shop/applications", doors.page(store.manage), methods=["POST"]),
        Route("/shop/{id}/{act}", doors.page(store.act), methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


class _Doors:
    """What a request passes before it is answered: one door for programs, one for the person at this machine."""

    def __init__(self, authorize: Authorize, webhooks: Webhooks) -> None:
        self._authorize = authorize
        self._webhooks = webhooks

    def api(self, work: Work) -> Work:
        async def endpoint(request: Request) -> Response:
            try:
                response = await self._admitted(request, work)
            except MandateError as error:
                response = Response(orjson.dumps(body_of(error)), error.status, media_type="application/json")
            for name in ("x-ms-requestid", "x-ms-correlationid"):
                if value := request.headers.get(name):
                    response.headers[name] = value
            return response

        return endpoint

    def page(self, work: Work) -> Work:
        async def endpoint(request: Request) -> Response:
            if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
                return PlainTextResponse("This did not come from a page of the storefront.", HTTPStatus.FORBIDDEN)
            try:
                return await work(request)
            except MandateError as error:
                return PlainTextResponse(error.message, error.status)

        return endpoint

    async def set_faults(self, request: Request) -> Response:
        try:
            self._webhooks.faults = Faults.model_validate_json(await request.body())
        except ValueError:
            raise BadRequest("These are no faults.") from None
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _admitted(self, request: Request, work: Work) -> Response:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not bearer:
            raise Unauthenticated("Send the publisher's token.")
        await self._authorize(bearer)
        if request.query_params.get("api-version") != API_VERSION:
            raise BadRequest(f"api-version must be {API_VERSION}.", code="BadRequest")
        faults = self._webhooks.faults
        if faults.calls:
            faults.calls -= 1
            return Response(status_code=faults.status)
        response = await work(request)
        if faults.cut:
            faults.cut -= 1
            # The body that is announced never comes: what was asked for was done, and nobody is told.
            return Response(status_code=response.status_code, headers={"content-length": "9"})
        return response


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok")
