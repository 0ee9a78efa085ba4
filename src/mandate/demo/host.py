"""What only the host of a product can do: cut its power, count effects, order faults."""

import asyncio
import ssl
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import aiohttp
import orjson
from pydantic import BaseModel, ConfigDict

from core import Json, TenantId
from mandate.demo.report import expect
from mandate.local.emulate import BACKOFFICE, COSMOS, MODEL
from mandate.local.stack import Emulator, Stack, StoreKind
from mandate.services import local_client_id

VERIFY_SECONDS = 60.0


class Effect(BaseModel):
    """One write that reached the back office, whether it was done or refused there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str
    outcome: str
    run: str | None


class _Effects(BaseModel):
    effects: list[Effect]


class Host:
    def __init__(self, stack: Stack, session: aiohttp.ClientSession) -> None:
        self.stack = stack
        self._session = session
        self._tls = ssl.create_default_context(cafile=str(stack.ca_file))

    async def effects(self, tenant: TenantId) -> list[Effect]:
        """Return all writes of a tenant that ever reached the back office, as it counted them itself."""
        raw = await self._emulator("GET", "backoffice", "/effects", tenant=tenant)
        return _Effects.model_validate_json(raw).effects

    @asynccontextmanager
    async def fault(self, text: str) -> AsyncGenerator[None]:
        """Have the model endpoint misbehave for as long as the context lasts."""
        await self._emulator("POST", "model", "/faults", {"fault": text})
        try:
            yield
        finally:
            await self._emulator("DELETE", "model", "/faults")

    async def asked_of_cosmos(self, what: Literal["counts", "bytes"]) -> Counter[str]:
        """Return what the emulator of Cosmos DB has been asked since it started, by operation."""
        return Counter(orjson.loads(await self._emulator("GET", "cosmos", f"/_emulator/{what}")))

    async def cut_power(self) -> None:
        """Kill the product as `kill -9` does, and start it again over what is on disk."""
        await self.stack.kill_product()
        await self.stack.start_product()

    async def _emulator(
        self, method: str, name: Emulator, path: str, body: Json = None, *, tenant: str | None = None
    ) -> bytes:
        """Call an emulator as the orchestration service may, and return what it said."""
        audience = {"model": MODEL, "backoffice": BACKOFFICE, "cosmos": COSMOS}[name]
        token = await self._token(audience)
        headers = {"Authorization": f"type=aad&ver=1.0&sig={token}" if name == "cosmos" else f"Bearer {token}"}
        if tenant:
            headers["X-Mandate-Tenant"] = tenant
        url = f"{self.stack.address(name)}{path}"
        data = None if body is None else orjson.dumps(body)
        async with self._session.request(method, url, data=data, headers=headers, ssl=self._tls) as response:
            raw = await response.read()
            expect(response.ok, f"{name} answered {response.status} to {method} {path}: {raw.decode()}")
            return raw

    async def _token(self, audience: str) -> str:
        """Return a token of the orchestration service's identity, by the managed-identity protocol."""
        query = {
            "api-version": "2019-08-01",
            "resource": audience,
            "client_id": local_client_id("orchestration"),
        }
        url = f"{self.stack.address('identity')}/msi/token"
        async with self._session.get(url, params=query, headers={"X-IDENTITY-HEADER": self.stack.secret}) as response:
            raw = await response.read()
            expect(response.ok, f"no service token: {raw.decode()}")
            return orjson.loads(raw)["access_token"]


async def verify_evidence(folder: Path, store: StoreKind) -> tuple[int, str]:
    """Run `mandate evidence verify` on a store, and return its exit code and all that it printed, in one line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "mandate", "evidence", "verify", "--folder", str(folder), "--store", store),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(VERIFY_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, " ".join(output.decode().split())
