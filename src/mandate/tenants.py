"""`mandate tenants`: the publisher's operator takes organisations on, over the control plane's own API."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, TypeAlias, TypeVar

import aiohttp
import orjson
from pydantic import BaseModel, ConfigDict

from core import Json, derived_id
from core.errors import BadRequest, Defect, Unavailable
from mandate.host import client_id, tls
from mandate.services import Services
from mandate.settings import Settings
from web import AzureServiceTokens

TIMEOUT = aiohttp.ClientTimeout(total=30)

T = TypeVar("T")

Answer: TypeAlias = Literal["taken on", "there already", "erased"]


@dataclass(frozen=True, slots=True)
class Organisation:
    """Who is taken on.

    Attributes:
        tid: id of its Entra tenant.
        groups: object id of an Entra group to the name that readers of documents go by.
        id: of the tenant; the one that belongs to `tid` if it is empty.
    """

    name: str
    tid: str
    plan: str
    region: str
    stamp: str = "local"
    groups: dict[str, str] = field(default_factory=dict[str, str])
    id: str = ""

    @property
    def tenant(self) -> str:
        return self.id or derived_id("ten", self.tid)


class _Listed(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str
    name: str
    plan: str
    status: str


class _Page(BaseModel):
    items: list[_Listed]
    cursor: str | None


class _Problem(BaseModel):
    model_config = ConfigDict(extra="ignore")

    code: str = ""
    detail: str = ""


class Operator:
    """The control plane, as its operator.

    Args:
        session: the caller's to close.
        url: of the control service.
        token: of the operator's identity.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    async def take_on(self, organisation: Organisation) -> Answer:
        """Make it a tenant and bind its people to it; the same once more changes nothing.

        Raises:
            BadRequest: the control plane refuses (`local.operator`).
            Unavailable: it does not answer (`local.operator`).
        """
        tenant: Json = {
            "id": organisation.tenant,
            "name": organisation.name,
            "plan": organisation.plan,
            "region": organisation.region,
            "stamp": organisation.stamp,
            "groups": dict(organisation.groups),
        }
        status, said = await self._ask("POST", "/v1/tenants", tenant)
        if status == HTTPStatus.CONFLICT and _Problem.model_validate_json(said).code == "erasure.tenant":
            return "erased"
        _expect(status, said)
        _expect(*await self._ask("POST", "/v1/bindings", {"tenant": organisation.tenant, "tid": organisation.tid}))
        return "taken on" if status == HTTPStatus.CREATED else "there already"

    async def tenants(self) -> list[str]:
        """Return all tenants, a line each. Raises as `take_on`."""
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            status, said = await self._ask("GET", "/v1/tenants", params={"cursor": cursor} if cursor else {})
            _expect(status, said)
            page = _Page.model_validate_json(said)
            found += [f"{one.id}  {one.status:<9} {one.plan:<12} {one.name}" for one in page.items]
            cursor = page.cursor
        return found

    async def _ask(
        self, method: str, path: str, body: Json = None, params: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        data = None if body is None else orjson.dumps(body)
        try:
            async with self._session.request(
                method, f"{self._url}{path}", data=data, params=params, headers=self._headers, timeout=TIMEOUT
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError):
            message = "The control plane does not answer. It is reached from inside the stamp's network only."
            raise Unavailable(message, code="local.operator") from None


async def add(organisation: Organisation) -> int:
    """Take an organisation on, as the operator's identity of this machine or job, and say what came of it."""
    said = await _as_operator(lambda operator: operator.take_on(organisation))
    print(f"{organisation.tenant}: {said}")
    if said == "erased":
        print("Its id is never good again. Name another one with --id.")
    return 1 if said == "erased" else 0


async def everyone() -> int:
    """Print all tenants."""
    for line in await _as_operator(lambda operator: operator.tenants()):
        print(line)
    return 0


async def _as_operator(work: Callable[[Operator], Awaitable[T]]) -> T:
    settings = Settings()
    if not settings.control_url:
        raise Defect(
            "Nothing is known without MANDATE_CONTROL_URL, the control plane's address.", code="defect.settings"
        )
    audience = Services.load(settings.root / "environments").services["control"].audience
    tokens = AzureServiceTokens(client_id(settings, "operator"))
    try:
        token = await tokens.token(f"{audience}/.default")
    finally:
        await tokens.aclose()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls(settings))) as session:
        return await work(Operator(session, settings.control_url, token))


def _expect(status: int, said: bytes) -> None:
    if status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        problem = _Problem.model_validate_json(said) if said.startswith(b"{") else _Problem()
        raise BadRequest(f"The control plane refused: {problem.detail or status}", code="local.operator")
