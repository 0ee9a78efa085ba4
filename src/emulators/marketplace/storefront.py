"""The page on which the person at this machine is the customer: buys, opens the landing page, changes, cancels."""

import asyncio
from html import escape
from http import HTTPStatus
from typing import get_args
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from core import Clock
from emulators.marketplace.book import Book, Subscription
from emulators.marketplace.catalogue import Buyer, Catalogue, Organisation
from emulators.marketplace.errors import bad
from emulators.marketplace.fulfillment import Deal, Fulfillment
from emulators.marketplace.managed import Managed
from emulators.marketplace.storefront_page import page

SHOP = "/shop"
_SECONDS = 10.0


class Storefront:
    def __init__(self, book: Book, catalogue: Catalogue, clock: Clock, landing: str, managed: Managed) -> None:
        self._book = book
        self._catalogue = catalogue
        self._clock = clock
        self._landing = landing
        self._managed = managed

    async def show(self, _: Request) -> Response:
        latest_first = sorted(self._book.state.subscriptions.values(), key=lambda one: one.created, reverse=True)
        return page(self._catalogue, latest_first, list(self._book.state.applications.values()))

    async def manage(self, request: Request) -> Response:
        """Do something with an application in the customer's own Azure subscription."""
        form = await _form(request)
        beats_as = (_text(form, "beats_tenant"), _text(form, "beats_principal"))
        await self._managed.do(_text(form, "act"), _text(form, "name"), _text(form, "plan"), beats_as)
        return RedirectResponse(SHOP, HTTPStatus.SEE_OTHER)

    async def buy(self, request: Request) -> Response:
        """Buy a plan, for oneself or for somebody else."""
        form = await _form(request)
        plan = self._catalogue.plan(_text(form, "plan"))
        if plan is None:
            raise bad("There is no such plan.")
        beneficiary = self._buyer(_text(form, "beneficiary"))
        purchaser = self._buyer(_text(form, "purchaser") or _text(form, "beneficiary"))
        async with self._book.changing() as state:
            bought = Fulfillment(state, self._catalogue, self._clock.now()).buy(
                beneficiary,
                purchaser,
                plan,
                name=_text(form, "name") or plan.name,
                quantity=_number(form),
                deal=_deal(form),
            )
        return _back(bought)

    async def act(self, request: Request) -> Response:
        """Do to a subscription what a customer, or their bank, can."""
        subscription, form = request.path_params["id"], await _form(request)
        async with self._book.changing() as state:
            act = Fulfillment(state, self._catalogue, self._clock.now())
            match request.path_params["act"]:
                case "configure":
                    url = f"{self._landing}?token={quote(act.land(subscription), safe='')}"
                    return RedirectResponse(url, HTTPStatus.SEE_OTHER, headers={"Referrer-Policy": "no-referrer"})
                case "plan":
                    act.change(subscription, plan=_text(form, "plan"), source="Azure")
                case "quantity":
                    act.change(subscription, quantity=_number(form), source="Azure")
                case "suspend":
                    act.suspend(subscription)
                case "reinstate":
                    act.reinstate(subscription)
                case "renew":
                    act.renew(subscription)
                case "cancel":
                    act.cancel(subscription, "Azure")
                case "revert":
                    act.revert(_text(form, "operation"))
                case _:
                    raise bad("There is nothing of that name to do.")
        return _back(self._book.state.subscriptions[subscription])

    def _buyer(self, username: str) -> tuple[Organisation, Buyer]:
        found = self._catalogue.buyer(username)
        if found is None:
            raise bad("There is nobody of that name who could buy.")
        return found


async def _form(request: Request) -> FormData:
    async with asyncio.timeout(_SECONDS):
        return await request.form(max_files=0, max_fields=20)


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def _deal(form: FormData) -> Deal:
    given = _text(form, "deal") or "public"
    for deal in get_args(Deal):
        if deal == given:
            return deal
    raise bad("Nothing is sold in this way.")


def _number(form: FormData) -> int | None:
    value = _text(form, "quantity")
    if not value:
        return None
    if not value.isdecimal():
        raise bad("The quantity is a whole number.")
    return int(value)


def _back(subscription: Subscription) -> Response:
    headers = {"x-subscription": subscription.id}
    return RedirectResponse(f"{SHOP}#{escape(subscription.id)}", HTTPStatus.SEE_OTHER, headers=headers)
