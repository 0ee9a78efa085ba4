"""The calls of a publisher, as the pages that each names describe them.

https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-subscription-api
https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-operations-api
https://learn.microsoft.com/partner-center/marketplace-offers/marketplace-metering-service-apis
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import Response

from core import Clock
from emulators.marketplace import metering
from emulators.marketplace.book import Book, Operation, Subscription
from emulators.marketplace.catalogue import Catalogue, Plan
from emulators.marketplace.errors import bad
from emulators.marketplace.fulfillment import Fulfillment
from emulators.marketplace.metering import MOST_IN_BATCH, Metering, UsageBatch, UsageEvent

MOST_BYTES = 1_000_000
_Model = TypeVar("_Model", bound=BaseModel)


class _Asked(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class _Wanted(_Asked):
    plan_id: str | None = None
    quantity: int | None = None


class _Acknowledged(_Asked):
    status: Literal["Success", "Failure"]


class Api:
    """Answers calls; who calls was checked."""

    def __init__(self, book: Book, catalogue: Catalogue, clock: Clock, page_size: int) -> None:
        self._book = book
        self._catalogue = catalogue
        self._clock = clock
        self._page_size = page_size

    async def resolve(self, request: Request) -> Response:
        found = self._reading().resolve(request.headers.get("x-ms-marketplace-token", ""))
        return _json(
            {
                "id": found.id,
                "subscriptionName": found.name,
                "offerId": found.offer_id,
                "planId": found.plan_id,
                "quantity": found.quantity,
                "subscription": _shown(found),
            }
        )

    async def activate(self, request: Request) -> Response:
        wanted = await _parsed(_Wanted, request)
        if wanted.plan_id is None:
            raise bad("planId is missing.")
        async with self._book.changing() as state:
            act = Fulfillment(state, self._catalogue, self._clock.now())
            act.activate(request.path_params["id"], wanted.plan_id, wanted.quantity)
        return Response(status_code=HTTPStatus.OK)

    async def list_all(self, request: Request) -> Response:
        """Give a page, oldest first; `@nextLink` leads to the next."""
        ordered = sorted(self._book.state.subscriptions.values(), key=lambda one: (one.created, one.id))
        try:
            start = int(request.query_params.get("continuationToken", "0"))
        except ValueError:
            raise bad("The continuationToken is not known.") from None
        page = ordered[start : start + self._page_size]
        answer: dict[str, object] = {"subscriptions": [_shown(one) for one in page]}
        if start + len(page) < len(ordered):
            link = request.url.include_query_params(continuationToken=start + len(page))
            answer["@nextLink"] = str(link)
        return _json(answer)

    async def get(self, request: Request) -> Response:
        return _json(_shown(self._reading().get(request.path_params["id"])))

    async def plans(self, request: Request) -> Response:
        found = self._book.state.subscriptions.get(request.path_params["id"])
        if found is None:
            return _json({"plans": []})
        wanted, offer = request.query_params.get("planId"), self._book.state.source_offers.get(found.id)
        plans = [plan for plan in self._catalogue.plans if not plan.private or plan.id == found.plan_id]
        asked = [plan for plan in plans if wanted in (None, plan.id)]
        return _json({"plans": [_plan(plan, offer if plan.id == found.plan_id else None) for plan in asked]})

    async def change(self, request: Request) -> Response:
        wanted = await _parsed(_Wanted, request)
        async with self._book.changing() as state:
            operation = Fulfillment(state, self._catalogue, self._clock.now()).change(
                request.path_params["id"], plan=wanted.plan_id, quantity=wanted.quantity, source="Partner"
            )
        return _begun(request, operation)

    async def cancel(self, request: Request) -> Response:
        async with self._book.changing() as state:
            act = Fulfillment(state, self._catalogue, self._clock.now())
            operation = act.cancel(request.path_params["id"], "Partner")
        return _begun(request, operation)

    async def operations(self, request: Request) -> Response:
        pending = [
            _told(one)
            for one in self._book.state.operations.values()
            if one.subscription_id == request.path_params["id"] and one.status == "InProgress"
        ]
        return _json({"operations": pending} if pending else {})

    async def operation(self, request: Request) -> Response:
        return _json(_told(self._reading().operation(request.path_params["id"], request.path_params["operation"])))

    async def acknowledge(self, request: Request) -> Response:
        status = (await _parsed(_Acknowledged, request)).status
        async with self._book.changing() as state:
            act = Fulfillment(state, self._catalogue, self._clock.now())
            act.acknowledge(request.path_params["id"], request.path_params["operation"], status)
        return Response(status_code=HTTPStatus.OK)

    async def usage_event(self, request: Request) -> Response:
        event = await _parsed(UsageEvent, request)
        async with self._book.changing() as state:
            verdict, line = Metering(state, self._catalogue, self._clock.now()).take(event)
        if verdict == "Duplicate" and line:
            return _json(metering.duplicate(line), HTTPStatus.CONFLICT)
        if line is None:
            raise bad(f"The usage event is {verdict}.")
        return _json(metering.accepted(line))

    async def usage_batch(self, request: Request) -> Response:
        batch = (await _parsed(UsageBatch, request)).request
        if len(batch) > MOST_IN_BATCH:
            raise bad(f"A batch has {MOST_IN_BATCH} events at most.")
        async with self._book.changing() as state:
            meter = Metering(state, self._catalogue, self._clock.now())
            said = [metering.item(event, *meter.take(event)) for event in batch]
        return _json({"count": len(said), "result": said})

    async def usage_events(self, request: Request) -> Response:
        """Give what was accepted since a day, summed by day."""
        since = request.query_params.get("usageStartDate")
        if not since:
            raise bad("usageStartDate is missing.")
        return _json(metering.report(self._book.state.usage, since))

    def _reading(self) -> Fulfillment:
        return Fulfillment(self._book.state, self._catalogue, self._clock.now())


def _shown(subscription: Subscription) -> Mapping[str, object]:
    return subscription.model_dump(by_alias=True)


def _told(operation: Operation) -> Mapping[str, object]:
    said = operation.model_dump(by_alias=True, exclude={"before", "settles_at", "operation_request_source"})
    return said | {"errorStatusCode": "", "errorMessage": ""}


def _plan(plan: Plan, offer: str | None) -> Mapping[str, object]:
    included = [{"dimensionId": name, "units": str(units)} for name, units in plan.included.items()]
    return {
        "planId": plan.id,
        "displayName": plan.name,
        "isPrivate": plan.private,
        "description": "",
        "minQuantity": plan.seats.least if plan.seats else 0,
        "maxQuantity": plan.seats.most if plan.seats else 0,
        "hasFreeTrials": False,
        "isPricePerSeat": plan.seats is not None,
        "isStopSell": False,
        "market": "NL",
        "planComponents": {
            "recurrentBillingTerms": [{"termUnit": plan.term, "meteredQuantityIncluded": included}],
            "meteringDimensions": [{"id": name} for name in plan.included],
        },
        "sourceOffers": [{"externalId": offer}] if offer else [],
    }


def _begun(request: Request, operation: Operation) -> Response:
    path = f"/api/saas/subscriptions/{operation.subscription_id}/operations/{operation.id}"
    location = request.url.replace(path=path, query=f"api-version={request.query_params['api-version']}")
    return Response(status_code=HTTPStatus.ACCEPTED, headers={"Operation-Location": str(location)})


async def _parsed(model: type[_Model], request: Request) -> _Model:
    body = await request.body()
    try:
        return model.model_validate_json(body if len(body) <= MOST_BYTES else b"")
    except ValidationError:
        raise bad("The body cannot be read as it is described.") from None


def _json(document: object, status: int = HTTPStatus.OK) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")
