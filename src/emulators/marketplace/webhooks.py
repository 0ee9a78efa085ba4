"""Telling the publisher: webhooks with the marketplace's token, tried again with growing delays.

https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-webhook
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import aiohttp

from core import Clock
from core.errors import MandateError
from emulators.marketplace.book import Book, Delivery, Operation, State
from emulators.marketplace.catalogue import Catalogue
from emulators.marketplace.faults import Faults
from emulators.marketplace.fulfillment import Fulfillment

MOST_TRIES = 500
LONGEST_DELAY = 60.0
"""Seconds between two tries: 500 of them are a little over 8 hours, as the page says."""

_LOOKS_EVERY = 0.1
_SECONDS = 10.0

Token = Callable[[], Awaitable[str]]


class Webhooks:
    """Sends what is due.

    Args:
        book: has what is to be sent.
        catalogue: of the offer.
        url: the publisher's webhook.
        token: gives the token that the marketplace proves itself with.
        session: stays the caller's to close.
        clock: tells what is due.
    """

    def __init__(
        self, book: Book, catalogue: Catalogue, url: str, token: Token, session: aiohttp.ClientSession, clock: Clock
    ) -> None:
        self.faults = Faults()
        self._held = False
        self._book = book
        self._catalogue = catalogue
        self._url = url
        self._token = token
        self._session = session
        self._clock = clock

    async def run(self, besides: Callable[[], Awaitable[None]] | None = None) -> None:
        """Send until cancelled, and do each time what else is to be told."""
        while True:
            await self.send_due()
            if besides:
                await besides()
            await asyncio.sleep(_LOOKS_EVERY)

    async def send_due(self) -> None:
        """Take for accepted what nobody rejected, and send once what is due."""
        now = self._clock.now()
        if any(o.settles_at and o.settles_at <= now.timestamp() for o in self._book.state.operations.values()):
            async with self._book.changing() as state:
                Fulfillment(state, self._catalogue, now).settle_due()
        if self.faults.hold:
            self._held = True
            return
        due = [delivery for delivery in self._book.state.deliveries if delivery.due <= now.timestamp()]
        if self._held:
            due.reverse()
        self._held = False
        for delivery in due:
            await self._deliver(delivery)

    async def _deliver(self, delivery: Delivery) -> None:
        operation = self._book.state.operations[delivery.operation]
        if self.faults.lose:
            self.faults.lose -= 1
            status = HTTPStatus.OK.value
        else:
            for _ in range(self.faults.extra):
                await self._send(operation)
            status = await self._send(operation)
        async with self._book.changing() as state:
            self._note(state, delivery, status)

    def _note(self, state: State, delivery: Delivery, status: int) -> None:
        """Write down what came of a try; a change that is answered with 4xx in time was rejected."""
        operation = state.operations[delivery.operation]
        refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        if refused and operation.status == "InProgress" and operation.action.startswith("Change"):
            Fulfillment(state, self._catalogue, self._clock.now()).settle(operation, accepted=False)
            status = HTTPStatus.OK.value
        rest = [other for other in state.deliveries if other.operation != delivery.operation]
        if status >= HTTPStatus.MULTIPLE_CHOICES and delivery.attempt + 1 < MOST_TRIES:
            delay = min(LONGEST_DELAY, 2.0**delivery.attempt)
            due = self._clock.now().timestamp() + delay
            rest.append(Delivery(operation=delivery.operation, attempt=delivery.attempt + 1, due=due))
        state.deliveries = rest

    async def _send(self, operation: Operation) -> int:
        """Return the status of the answer; 503 where there is none."""
        try:
            headers = {"Authorization": f"Bearer {await self._token()}"}
            async with (
                asyncio.timeout(_SECONDS),
                self._session.post(self._url, json=dict(payload(operation)), headers=headers) as response,
            ):
                return response.status
        except (aiohttp.ClientError, TimeoutError, MandateError):
            return HTTPStatus.SERVICE_UNAVAILABLE.value


def payload(operation: Operation) -> Mapping[str, object]:
    """Return what the webhook says: plan and quantity are the new ones, the subscription is as it was before."""
    said = operation.model_dump(by_alias=True, exclude={"before", "settles_at"})
    before = operation.before.model_dump(by_alias=True)
    before["term"]["chargeDuration"] = None
    return said | {"subscription": before, "purchaseToken": None}
