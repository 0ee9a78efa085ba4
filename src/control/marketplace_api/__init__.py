"""The marketplace's SaaS fulfillment API, version 2, and its metered billing, over HTTPS.

https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-subscription-api
https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-operations-api
https://learn.microsoft.com/partner-center/marketplace-offers/marketplace-metering-service-apis
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Literal, TypeVar
from urllib.parse import quote

import aiohttp
import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError
from yarl import URL

from control.marketplace import (
    AvailablePlan,
    Operation,
    Reported,
    Subscription,
    SubscriptionPage,
    UsageAnswer,
    UsageAnswers,
    UsageEvent,
)
from control.marketplace.shapes import AvailablePlans, PendingOperations
from control.marketplace_api.arm import Arm
from core import parse_timestamp
from core.errors import Conflict, NotFound, Unavailable
from web import read_bounded

__all__ = ["API_VERSION", "RESOURCE", "Arm", "MarketplaceApi"]

API_VERSION = "2018-08-31"
RESOURCE = "20e940b3-4c77-4b0b-9a53-9e16a1b010a7"
"""The marketplace's application in Entra: its tokens' audience, and who sends webhooks."""

_SECONDS = 10.0
_MAX_ANSWER = 5_000_000
_Model = TypeVar("_Model", bound=BaseModel)

Token = Callable[[], Awaitable[str]]


_REPORT = TypeAdapter(tuple[Reported, ...])


class _Resolved(BaseModel):
    subscription: Subscription


class MarketplaceApi:
    """See `control.marketplace.Marketplace` and `MeterApi`. It asks once: whoever needs an answer asks again later.

    Args:
        base: address, such as `https://marketplaceapi.microsoft.com/api`.
        token: gives the token of the application that the offer names.
        session: stays the caller's to close.
    """

    def __init__(self, base: str, token: Token, session: aiohttp.ClientSession) -> None:
        self._base = URL(base.rstrip("/"))
        self._token = token
        self._session = session

    async def resolve(self, token: str) -> Subscription:
        """See `Marketplace.resolve`."""
        path = "/saas/subscriptions/resolve"
        status, body = await self._ask("POST", self._at(path), headers={"x-ms-marketplace-token": token})
        if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
            raise NotFound("The link has expired. Open your subscription again from where you bought it.")
        return self._read(_Resolved, status, body).subscription

    async def subscription(self, subscription: str) -> Subscription:
        """See `Marketplace.subscription`."""
        status, body = await self._ask("GET", self._at(f"/saas/subscriptions/{_safe(subscription)}"))
        self._check_found(status)
        return self._read(Subscription, status, body)

    async def page(self, link: str = "") -> SubscriptionPage:
        """See `Marketplace.page`. The token goes to no other address than the marketplace's own."""
        url = URL(link) if link else self._at("/saas/subscriptions")
        if url.origin() != self._base.origin():
            raise _unavailable()
        status, body = await self._ask("GET", url)
        return self._read(SubscriptionPage, status, body or b"{}")

    async def operation(self, subscription: str, operation: str) -> Operation:
        """See `Marketplace.operation`; production says 400 of one that it does not know."""
        status, body = await self._ask("GET", self._operation(subscription, operation))
        self._check_found(HTTPStatus.NOT_FOUND if status == HTTPStatus.BAD_REQUEST else status)
        return self._read(Operation, status, body)

    async def activate(self, subscription: str, plan: str, quantity: int | None) -> None:
        """See `Marketplace.activate`."""
        seats = {} if quantity is None else {"quantity": quantity}
        path = f"/saas/subscriptions/{_safe(subscription)}/activate"
        status, _ = await self._ask("POST", self._at(path), {"planId": plan, **seats})
        self._check_done(status)

    async def acknowledge(self, subscription: str, operation: str, status: Literal["Success", "Failure"]) -> None:
        """See `Marketplace.acknowledge`."""
        answered, _ = await self._ask("PATCH", self._operation(subscription, operation), {"status": status})
        self._check_done(answered)

    async def change(self, subscription: str, *, plan: str | None = None, quantity: int | None = None) -> None:
        """See `Marketplace.change`."""
        body = {"quantity": quantity} if plan is None else {"planId": plan}
        status, _ = await self._ask("PATCH", self._at(f"/saas/subscriptions/{_safe(subscription)}"), body)
        self._check_done(status)

    async def pending(self, subscription: str) -> tuple[Operation, ...]:
        """See `Marketplace.pending`; production says 400 of a subscription that it does not know."""
        status, body = await self._ask("GET", self._at(f"/saas/subscriptions/{_safe(subscription)}/operations"))
        if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
            return ()
        return self._read(PendingOperations, status, body or b"{}").operations

    async def available(self, subscription: str, plan: str) -> tuple[AvailablePlan, ...]:
        """See `Marketplace.available`."""
        path = f"/saas/subscriptions/{_safe(subscription)}/listAvailablePlans"
        status, body = await self._ask("GET", self._at(path, planId=plan))
        return self._read(AvailablePlans, status, body or b"{}").plans

    async def emit(self, events: Sequence[UsageEvent]) -> Sequence[UsageAnswer | None]:
        """See `MeterApi.emit`."""
        asked = {"request": [_event(event) for event in events]}
        status, body = await self._ask("POST", self._at("/batchUsageEvent"), asked)
        said = self._read(UsageAnswers, status, body).result
        return [next((answer for answer in said if _is_of(answer, event)), None) for event in events]

    async def reported(self, since: str) -> Sequence[Reported]:
        """See `MeterApi.reported`."""
        status, body = await self._ask("GET", self._at("/usageEvents", usageStartDate=since))
        if status != HTTPStatus.OK:
            raise _unavailable()
        try:
            return _REPORT.validate_json(body or b"[]")
        except ValidationError:
            raise _unavailable() from None

    def _at(self, path: str, **query: str) -> URL:
        return URL(f"{self._base}{path}", encoded=True).with_query({"api-version": API_VERSION, **query})

    def _operation(self, subscription: str, operation: str) -> URL:
        return self._at(f"/saas/subscriptions/{_safe(subscription)}/operations/{_safe(operation)}")

    def _check_found(self, status: int) -> None:
        if status == HTTPStatus.NOT_FOUND:
            raise NotFound("The marketplace does not know this.")

    def _check_done(self, status: int) -> None:
        if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            raise Conflict("The marketplace does not do this in the state that the subscription is in.")
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _unavailable()

    def _read(self, model: type[_Model], status: int, body: bytes) -> _Model:
        if status != HTTPStatus.OK:
            raise _unavailable()
        try:
            return model.model_validate_json(body)
        except ValidationError:  # its text would quote what was said
            raise _unavailable() from None

    async def _ask(
        self, method: str, url: URL, body: object = None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        given = {
            "Authorization": f"Bearer {await self._token()}",
            "Content-Type": "application/json",
            **(headers or {}),
        }
        data = None if body is None else orjson.dumps(body)
        try:
            async with (
                asyncio.timeout(_SECONDS),
                self._session.request(method, url, data=data, headers=given, allow_redirects=False) as response,
            ):
                return response.status, await read_bounded(response.content.iter_any(), _MAX_ANSWER)
        except (aiohttp.ClientError, TimeoutError):
            raise _unavailable() from None


def _event(event: UsageEvent) -> Mapping[str, object]:
    resource = {"resourceUri": event.resource.uri} if event.resource.uri else {"resourceId": event.resource.id}
    return {
        **resource,
        "quantity": event.quantity,
        "dimension": event.dimension,
        "effectiveStartTime": event.hour,
        "planId": event.plan,
    }


def _is_of(answer: UsageAnswer, event: UsageEvent) -> bool:
    """Return whether an answer is about an event; nothing says that answers come in the order of the events."""
    same = answer.is_of(event.resource.id, event.resource.uri, event.dimension)
    return same and answer.at == parse_timestamp(event.hour)


def _safe(name: str) -> str:
    return quote(name, safe="")


def _unavailable() -> Unavailable:
    message = "The marketplace does not answer as it should. Try again shortly."
    return Unavailable(message, code="dependency.marketplace", retry_after=5)
