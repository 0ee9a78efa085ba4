"""The rules of metered billing.

https://learn.microsoft.com/partner-center/marketplace-offers/marketplace-metering-service-apis
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from core.clock import timestamp
from emulators.marketplace.book import State, UsageLine
from emulators.marketplace.catalogue import Catalogue

WINDOW = timedelta(hours=24)
MOST_IN_BATCH = 25

Verdict = Literal[
    "Accepted", "Expired", "Duplicate", "ResourceNotFound", "ResourceNotActive", "InvalidDimension", "InvalidQuantity",
    "BadArgument",
]  # fmt: skip


class UsageEvent(BaseModel):
    """One event as a publisher sends it: a subscription has an id, a managed application an id or a URI."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    resource_id: str = ""
    resource_uri: str = ""
    quantity: Annotated[float, Field(allow_inf_nan=False)]
    dimension: str
    effective_start_time: AwareDatetime
    plan_id: str

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if bool(self.resource_id) == bool(self.resource_uri):
            raise ValueError("give resourceId or resourceUri, and never both")
        return self

    @property
    def resource(self) -> str:
        return self.resource_id or self.resource_uri


class UsageBatch(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    request: list[UsageEvent]


class Metering:
    """What becomes of usage events, at the time `now`."""

    def __init__(self, state: State, catalogue: Catalogue, now: datetime) -> None:
        self._state = state
        self._catalogue = catalogue
        self._now = now

    def take(self, event: UsageEvent) -> tuple[Verdict, UsageLine | None]:
        """Return what is said of an event, and the accepted one: itself, or that it is a duplicate of."""
        if verdict := self._unfit(event):
            return verdict, None
        hour = _hour(event.effective_start_time)
        for line in self._state.usage:
            same = (line.resource_id, line.dimension) == (event.resource, event.dimension)
            if same and _hour(datetime.fromisoformat(line.effective_start_time)) == hour:
                return "Duplicate", line
        line = UsageLine(
            usage_event_id=str(uuid4()),
            message_time=timestamp(self._now),
            resource_id=event.resource,
            quantity=event.quantity,
            dimension=event.dimension,
            effective_start_time=timestamp(event.effective_start_time),
            plan_id=event.plan_id,
        )
        self._state.usage.append(line)
        return "Accepted", line

    def _unfit(self, event: UsageEvent) -> Verdict | None:
        subscription = self._state.subscriptions.get(event.resource)
        if subscription is None:
            return "ResourceNotFound"
        start, ended = event.effective_start_time, self._state.ended_at.get(subscription.id)
        before_the_end = ended is not None and start.timestamp() < ended
        is_active = subscription.saas_subscription_status == "Subscribed" or before_the_end
        plan = self._catalogue.plan(subscription.plan_id)
        dimensions = plan.included if plan else {}
        reasons: Mapping[Verdict, bool] = {
            "InvalidQuantity": event.quantity <= 0,
            "BadArgument": start > self._now or event.plan_id != subscription.plan_id,
            "InvalidDimension": event.dimension not in dimensions,
            "Expired": self._now - start > WINDOW,
            "ResourceNotActive": not is_active,
        }
        return next((verdict for verdict, holds in reasons.items() if holds), None)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def accepted(line: UsageLine) -> Mapping[str, object]:
    return line.model_dump(by_alias=True) | {"status": "Accepted"}


def duplicate(line: UsageLine) -> Mapping[str, object]:
    """Return the body of a 409."""
    said = line.model_dump(by_alias=True) | {"status": "Duplicate"}
    message = "This usage event already exist."
    return {"additionalInfo": {"acceptedMessage": said}, "message": message, "code": "Conflict"}


def report(lines: Sequence[UsageLine], since: str) -> list[Mapping[str, object]]:
    """Return the report from the day `since` on: the sum of each day. The real one comes up to a day later."""
    sums, counts = Counter[tuple[str, str, str, str]](), Counter[tuple[str, str, str, str]]()
    for line in lines:
        key = (line.effective_start_time[:10], line.resource_id, line.dimension, line.plan_id)
        if key[0] >= since[:10]:
            sums[key] += int(line.quantity)
            counts[key] += 1
    return [
        {
            "usageDate": f"{day}T00:00:00Z",
            "usageResourceId": resource,
            "dimension": dimension,
            "planId": plan,
            "reconStatus": "Accepted",
            "submittedQuantity": float(units),
            "processedQuantity": float(units),
            "submittedCount": counts[day, resource, dimension, plan],
        }
        for (day, resource, dimension, plan), units in sorted(sums.items())
    ]


def item(event: UsageEvent, verdict: Verdict, line: UsageLine | None) -> Mapping[str, object]:
    """Return what a batch says of one of its events."""
    if verdict == "Accepted" and line:
        return accepted(line)
    said: dict[str, object] = {
        "status": verdict,
        "messageTime": "0001-01-01T00:00:00",
        **({"resourceUri": event.resource_uri} if event.resource_uri else {"resourceId": event.resource_id}),
        "quantity": event.quantity,
        "dimension": event.dimension,
        "effectiveStartTime": timestamp(event.effective_start_time),
        "planId": event.plan_id,
    }
    return {**said, "error": duplicate(line) if line else {"code": verdict, "message": f"The event is {verdict}."}}
