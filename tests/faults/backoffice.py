"""What the back office says of the effects that reached it, and how it and the model are made slow."""

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Literal

import aiohttp
from pydantic import BaseModel, ConfigDict

from core import TenantId
from mandate.local.emulate import BACKOFFICE, MODEL
from mandate.local.stack import Stack
from mandate.services import local_client_id


class Effect(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str
    outcome: str
    idempotency_key: str | None
    run: str | None


class _Effects(BaseModel):
    effects: list[Effect]


async def effects(stack: Stack, session: aiohttp.ClientSession, tenant: TenantId) -> list[Effect]:
    """Return all writes of a tenant that ever reached the back office, as it counted them itself."""
    raw = await _call(stack, session, "GET", "/effects", headers={"X-Mandate-Tenant": tenant})
    return _Effects.model_validate_json(raw).effects


async def slow_down(stack: Stack, session: aiohttp.ClientSession, **seconds: float) -> None:
    """Have it wait before and after it does something (`stall_before`, `stall_after`)."""
    await _call(stack, session, "POST", "/faults", body=seconds)


@asynccontextmanager
async def model_fault(stack: Stack, session: aiohttp.ClientSession, fault: str) -> AsyncGenerator[None]:
    """Have the model endpoint misbehave for as long as the context lasts."""
    await _call(stack, session, "POST", "/faults", body={"fault": fault}, of="model")
    try:
        yield
    finally:
        await _call(stack, session, "DELETE", "/faults", of="model")


async def _call(
    stack: Stack,
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, float] | Mapping[str, str] | None = None,
    of: Literal["backoffice", "model"] = "backoffice",
) -> bytes:
    token = await service_token(stack, session, "orchestration", {"backoffice": BACKOFFICE, "model": MODEL}[of])
    tls = ssl.create_default_context(cafile=str(stack.ca_file))
    sent = {"Authorization": f"Bearer {token}", **(headers or {})}
    async with session.request(method, f"{stack.address(of)}{path}", headers=sent, json=body, ssl=tls) as answer:
        assert answer.ok, await answer.text()
        return await answer.read()


async def service_token(stack: Stack, session: aiohttp.ClientSession, identity: str, audience: str) -> str:
    """Return a token of one of our services, by the managed-identity protocol."""
    query = {"api-version": "2019-08-01", "resource": audience, "client_id": local_client_id(identity)}
    url = f"{stack.address('identity')}/msi/token"
    async with session.get(url, params=query, headers={"X-IDENTITY-HEADER": stack.secret}) as answer:
        assert answer.ok, await answer.text()
        return str((await answer.json())["access_token"])
