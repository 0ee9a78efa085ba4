"""The server: routes, tenants, faults."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from core.clock import Clock
from core.errors import BadRequest, Defect, MandateError, NotFound, Unauthenticated
from emulators.backoffice.journal import Journal, Kind
from emulators.backoffice.ledger import Answer, Ledger, Payload
from emulators.backoffice.requests import Fault, NewEmail, NewRefund, NewTicket, bearer, origin, parse, read
from emulators.backoffice.seed import BackofficeSeed

Authorize = Callable[[str], Awaitable[None]]
Work = Callable[[Request, Ledger], Awaitable[Response]]

_TENANT_HEADER = "x-mandate-tenant"
_CREATING: tuple[Kind, ...] = ("ticket", "refund", "email")
_FILE_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


class _Backoffice:
    def __init__(self, authorize: Authorize, ledgers: Mapping[str, Ledger]) -> None:
        self._authorize = authorize
        self._ledgers = ledgers
        self._fault = Fault()
        # One thread does all writes, checks and all, so that they are one after the other even if a caller goes away.
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="backoffice")

    def tenant_route(self, path: str, work: Work, method: str, *, faulty: bool = True) -> Route:
        """Return a route on one tenant's records; faults strike it unless it is there to audit."""

        async def endpoint(request: Request) -> Response:
            async def act() -> Response:
                ledger = self._ledger(request)
                return await (self._with_faults(request, ledger, work) if faulty else work(request, ledger))

            return await self._guarded(request, act)

        return Route(path, endpoint, methods=[method])

    def own_route(self, path: str, work: Callable[[Request], Awaitable[Response]], method: str) -> Route:
        async def endpoint(request: Request) -> Response:
            return await self._guarded(request, lambda: work(request))

        return Route(path, endpoint, methods=[method])

    async def _guarded(self, request: Request, act: Callable[[], Awaitable[Response]]) -> Response:
        try:
            await self._authorize(bearer(request))
            return await act()
        except MandateError as error:
            return _error(error.status, error.code, error.message, unproved=isinstance(error, Unauthenticated))

    async def _with_faults(self, request: Request, ledger: Ledger, work: Work) -> Response:
        ordered = request.headers.get("x-mandate-fault")
        fault = parse(Fault, ordered.encode()) if ordered else self._fault
        await asyncio.sleep(fault.stall_before)
        if fault.status:
            return _error(fault.status, f"injected_{fault.status}", "This failure was ordered by the fault in force.")
        response = await work(request, ledger)
        await asyncio.sleep(fault.stall_after)
        if fault.drop:
            # The body that is announced never comes: the server closes the connection, and the caller knows nothing.
            return Response(status_code=response.status_code, headers=response.headers)
        return response

    def _ledger(self, request: Request) -> Ledger:
        tenant = request.headers.get(_TENANT_HEADER)
        if not tenant:
            raise BadRequest(f"Say in the header {_TENANT_HEADER} for which tenant this is.")
        if tenant not in self._ledgers:
            raise NotFound("There is no such tenant here.")
        return self._ledgers[tenant]

    async def _write(self, request: Request, ledger: Ledger, kind: Kind, payload: Payload) -> Response:
        write, loop = origin(request), asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._writer, ledger.write, kind, payload, write)
        return _json(answer, HTTPStatus.CREATED if kind in _CREATING else HTTPStatus.OK)

    async def open_ticket(self, request: Request, ledger: Ledger) -> Response:
        return await self._write(request, ledger, "ticket", parse(NewTicket, await read(request)).model_dump())

    async def refund(self, request: Request, ledger: Ledger) -> Response:
        return await self._write(request, ledger, "refund", parse(NewRefund, await read(request)).model_dump())

    async def close_ticket(self, request: Request, ledger: Ledger) -> Response:
        return await self._write(request, ledger, "ticket_closure", {"id": str(request.path_params["id"])})

    async def cancel_refund(self, request: Request, ledger: Ledger) -> Response:
        return await self._write(request, ledger, "refund_cancellation", {"id": str(request.path_params["id"])})

    async def send_email(self, request: Request, ledger: Ledger) -> Response:
        return await self._write(request, ledger, "email", parse(NewEmail, await read(request)).model_dump())

    async def delete_customer(self, request: Request, ledger: Ledger) -> Response:
        return await self._write(request, ledger, "customer_deletion", {"customer": str(request.path_params["id"])})

    async def set_fault(self, request: Request) -> Response:
        self._fault = parse(Fault, await read(request))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def clear_fault(self, _: Request) -> Response:
        self._fault = Fault()
        return Response(status_code=HTTPStatus.NO_CONTENT)


def create_app(
    *,
    authorize: Authorize,
    folder: Path,
    seeds: Mapping[str, BackofficeSeed],
    pages: Mapping[str, str] = {},
    clock: Clock | None = None,
) -> Starlette:
    """Return the server, with the journals in `folder` replayed.

    Args:
        authorize: called with the bearer token of each request; raises `Unauthenticated` or `Forbidden`.
        folder: where each tenant's journal is kept.
        seeds: what each tenant has at first, by tenant id.
        pages: HTML that anybody may read, by its path under `/pages/`, as the companies' own sites would have it.
        clock: by which refunds are paid out; the machine's, if none is given.

    Raises:
        Defect: a tenant id cannot name a file, or a journal cannot be read.
    """
    if not all(_FILE_NAME.fullmatch(tenant) for tenant in seeds):
        raise Defect("A tenant id has characters that cannot name a file.", code="defect.tenant_id")
    ledgers = {tenant: Ledger(seed, Journal(folder / f"{tenant}.jsonl"), clock) for tenant, seed in seeds.items()}
    office = _Backoffice(authorize, ledgers)
    routes = [
        Route("/healthz", PlainTextResponse("ok"), methods=["GET"]),
        Route("/pages/{path:path}", _pages(pages), methods=["GET"]),
        office.own_route("/faults", office.set_fault, "POST"),
        office.own_route("/faults", office.clear_fault, "DELETE"),
        office.tenant_route("/effects", _effects, "GET", faulty=False),
        office.tenant_route("/orders/{id}", _order, "GET"),
        office.tenant_route("/customers/{id}", _customer, "GET"),
        office.tenant_route("/customers/{id}", office.delete_customer, "DELETE"),
        office.tenant_route("/tickets", office.open_ticket, "POST"),
        office.tenant_route("/tickets/{id}/closure", office.close_ticket, "POST"),
        office.tenant_route("/refunds", office.refund, "POST"),
        office.tenant_route("/refunds/{id}/cancellation", office.cancel_refund, "POST"),
        office.tenant_route("/emails", office.send_email, "POST"),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_route})


def _pages(pages: Mapping[str, str]) -> Callable[[Request], Awaitable[Response]]:
    async def page(request: Request) -> Response:
        html = pages.get(str(request.path_params["path"]))
        return HTMLResponse(html) if html else _error(HTTPStatus.NOT_FOUND, "not_found", "There is no such page.")

    return page


async def _order(request: Request, ledger: Ledger) -> Response:
    return _json(ledger.order(str(request.path_params["id"])))


async def _customer(request: Request, ledger: Ledger) -> Response:
    return _json(ledger.customer(str(request.path_params["id"])).model_dump())


async def _effects(_: Request, ledger: Ledger) -> Response:
    entries = ledger.entries
    return _json({"count": len(entries), "effects": [entry.model_dump(exclude={"payload"}) for entry in entries]})


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    return _error(status, "not_found", f"There is no {request.method} at this path.")


def _json(document: Answer, status: int = HTTPStatus.OK) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")


def _error(status: int, code: str, message: str, *, unproved: bool = False) -> Response:
    """Return an RFC 9457 problem."""
    response = _json({"title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": message}, status)
    response.headers["content-type"] = "application/problem+json"
    if unproved:
        response.headers["www-authenticate"] = "Bearer"
    return response
