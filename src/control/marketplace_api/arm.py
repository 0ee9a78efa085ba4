"""Managed applications as Azure Resource Manager has them.

https://learn.microsoft.com/rest/api/managedapplications/applications/get
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from yarl import URL

from control.marketplace.applications import Application, ApplicationPlan
from control.marketplace.shapes import Optional, Short
from core.errors import NotFound, Unavailable
from web import read_bounded

API_VERSION = "2021-07-01"
_SECONDS = 10.0
_MAX_ANSWER = 1_000_000
_NOT_OURS = (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN)


class _Said(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class _Output(_Said):
    value: Short = ""


class _Outputs(_Said):
    heartbeat_tenant: _Output = _Output()
    heartbeat_principal: _Output = _Output()


class _Billing(_Said):
    resource_usage_id: Short = ""


class _Properties(_Said):
    provisioning_state: Short
    billing_details: _Billing = _Billing()
    outputs: _Outputs = Field(default=_Outputs())


class _Read(_Said):
    name: Optional = ""
    location: Optional = ""
    plan: ApplicationPlan = ApplicationPlan()
    properties: _Properties


class Arm:
    """See `control.marketplace.applications.Applications`.

    Args:
        base: address, such as `https://management.azure.com`.
        token: gives our token for it; that we may read follows from the offer's authorizations.
        session: stays the caller's to close.
    """

    def __init__(self, base: str, token: Callable[[], Awaitable[str]], session: aiohttp.ClientSession) -> None:
        self._base = base.rstrip("/")
        self._token = token
        self._session = session

    async def application(self, resource: str) -> Application:
        """See `Applications.application`. `resource` was checked to be an application's id."""
        url = URL(f"{self._base}{resource}", encoded=True).with_query({"api-version": API_VERSION})
        headers = {"Authorization": f"Bearer {await self._token()}"}
        try:
            async with (
                asyncio.timeout(_SECONDS),
                self._session.get(url, headers=headers, allow_redirects=False) as response,
            ):
                body = await read_bounded(response.content.iter_any(), _MAX_ANSWER)
        except (aiohttp.ClientError, TimeoutError):
            raise _unavailable() from None
        if response.status in _NOT_OURS:
            raise NotFound("There is no such application for us.")
        if response.status != HTTPStatus.OK:
            raise _unavailable()
        return _application(body)


def _application(body: bytes) -> Application:
    try:
        read = _Read.model_validate_json(body)
    except ValidationError:  # its text would quote what was said
        raise _unavailable() from None
    outputs = read.properties.outputs
    return Application(
        name=read.name,
        location=read.location,
        state=read.properties.provisioning_state,
        plan=read.plan,
        usage=read.properties.billing_details.resource_usage_id,
        beats_as=(outputs.heartbeat_tenant.value, outputs.heartbeat_principal.value),
    )


def _unavailable() -> Unavailable:
    message = "Azure Resource Manager does not answer as it should. Try again shortly."
    return Unavailable(message, code="dependency.arm", retry_after=30)
