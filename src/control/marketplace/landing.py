"""The landing page's side of the control plane: who came, with what they bought; and beginning the subscription."""

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from control import contexts
from control.marketplace.port import Marketplace
from control.marketplace.records import LandingRecord, SubscriptionRecord
from control.marketplace.subscriptions import Subscriptions
from core import Clock, parse_timestamp, timestamp
from core.errors import Conflict, Forbidden, NotFound, PreconditionFailed, Unprocessable
from data import Records, Store

LASTS = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Landed:
    """What the page shows. `is_beneficiary` tells whether who came will use it, or bought it for somebody else."""

    subscription: SubscriptionRecord
    is_beneficiary: bool
    asks_contact: bool = False
    """Nobody knows whom to write to."""


class Landings:
    def __init__(self, store: Store, clock: Clock, marketplace: Marketplace, subscriptions: Subscriptions) -> None:
        self._store = store
        self._clock = clock
        self._marketplace = marketplace
        self._subscriptions = subscriptions

    @property
    def _records(self) -> Records:
        return self._store.tenant(contexts.publisher("marketplace")).records

    async def land(self, token: str, tid: str, oid: str, puid: str = "") -> str:
        """Return the secret of a landing: of the person `oid` of `tid`, whose sign-in was verified. Forgets the token.

        `puid` is what their token says, if it does: it counts where the marketplace gives no object id.

        Raises:
            NotFound: the token has expired, or is none.
            Forbidden: the person neither uses nor bought the subscription (`access.not_the_buyer`).
        """
        truth = await self._marketplace.resolve(token)
        is_beneficiary = truth.beneficiary.is_(tid, oid, puid)
        if not is_beneficiary and not truth.purchaser.is_(tid, oid, puid):
            raise Forbidden(
                "This subscription was bought by, and for, somebody else. Sign in as the person who bought it.",
                code="access.not_the_buyer",
            )
        known = await self._subscriptions.refresh(truth.id, "landed", "landed")
        if is_beneficiary and not known.beneficiary_oid and known.onboarding != "erased":
            known = await self._subscriptions.mark(truth.id, beneficiary_oid=oid)
            await self._subscriptions.carry_on(known)
        await self.forget_old()
        secret = secrets.token_urlsafe(32)
        until = timestamp(self._clock.now() + LASTS)
        record = LandingRecord(
            subscription=truth.id,
            is_beneficiary=is_beneficiary,
            until=until,
            asks_contact=not truth.beneficiary.email_id,
        )
        await self._records.put(_key(secret), record, etag=None)
        return secret

    async def show(self, secret: str) -> Landed:
        """Return what is known of the subscription now.

        Raises:
            NotFound: the landing is over.
        """
        found = await self._records.get(LandingRecord, _key(secret))
        subscription = await self._subscriptions.find(found.value.subscription) if found else None
        if found is None or subscription is None or parse_timestamp(found.value.until) < self._clock.now():
            raise NotFound("The link has expired. Open your subscription again from where you bought it.")
        asks = found.value.asks_contact and subscription.contact is None and subscription.onboarding != "erased"
        return Landed(subscription, found.value.is_beneficiary, asks)

    async def activate(self, secret: str, contact: str = "") -> Landed:
        """Begin the subscription and take its tenant on; done again, it goes on where it was cut short.

        Raises:
            Unprocessable: nobody says whom to write to (`landing.contact`).
        """
        landed = await self.show(secret)
        bought = landed.subscription
        if landed.asks_contact and not contact:
            raise Unprocessable("Say whom we may write to about the subscription.", code="landing.contact")
        if bought.contact is None and bought.onboarding != "erased":
            address = contact or (await self._marketplace.subscription(bought.id)).beneficiary.email_id
            if address:
                await self._subscriptions.keep_contact(bought.id, address)
        if bought.status == "PendingFulfillmentStart":
            with suppress(Conflict):  # it is active already, or is no more: asking tells
                await self._marketplace.activate(bought.id, bought.plan, bought.quantity)
        await self._subscriptions.refresh(bought.id, "activated", "activated")
        return await self.show(secret)

    async def forget_old(self) -> None:
        """Delete the landings that are over."""
        now, cursor = timestamp(self._clock.now()), None
        while True:
            page = await self._records.list(LandingRecord, cursor=cursor)
            for found in page.items:
                if found.value.until < now:
                    with suppress(PreconditionFailed):
                        await self._records.delete(LandingRecord, found.key, etag=found.etag)
            if (cursor := page.cursor) is None:
                return


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
