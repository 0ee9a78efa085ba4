"""What is kept of metered use: an account for each resource and unit, and the events of hours that are over."""

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from core import TenantId, digest
from data import Record

Fate = Literal["planned", "accepted", "refused", "unknown"]


class _Strict(Record):
    kind: ClassVar[str] = ""
    model_config = ConfigDict(frozen=True, extra="forbid")


class Resource(_Strict):
    """Whose bill it is, by one of two names: `id`, a subscription's or the usage id of a managed application, or `uri`.

    `uri` is a managed application's own Azure Resource Manager id.
    """

    id: str = ""
    uri: str = ""

    @property
    def key(self) -> str:
        """What it is called in keys of ours."""
        return self.id or f"uri-{digest(self.uri.lower().encode())[:32]}"


class Term(_Strict):
    """A term of the subscription, for which a quantity is included, and what was used and billed of it.

    Attributes:
        start: when it began; units are counted from there on.
        until: before when; empty while it is the last.
        included: units that the price includes; `used` beyond it are billed. It never gets less within a term, unless
            the publisher says so for this customer.
        used: units of the hours before `counted`, which are not looked at anew but once a day.
        recent: units of later hours, as they were counted last.
        accepted: of events that are over.
        lost: units that nobody will ever be billed for, since their time was up before the marketplace took them.
        is_over: nothing about it changes any more.
    """

    start: str
    until: str = ""
    included: int
    counted: str
    used: int = 0
    recent: dict[str, int] = Field(default={})
    accepted: int = 0
    lost: int = 0
    is_over: bool = False

    @property
    def total(self) -> int:
        return self.used + sum(self.recent.values())

    @property
    def over(self) -> int:
        """Units beyond those that are included."""
        return max(0, self.total - self.included)


class Emission(_Strict):
    """One usage event: of one hour, for units of one term. It is on disk before it is sent, and never changed after.

    Attributes:
        hour: its beginning; the marketplace takes one event for each resource, dimension and hour.
        term: the beginning of the term.
        quantity: units that we ask for.
        plan: the marketplace's id of it.
        fate: `planned` is sent until there is an answer; of `unknown` only the marketplace's report can tell.
        accepted: units that the marketplace takes for used in that hour.
        verdict: its last word.
    """

    hour: str
    term: str
    quantity: int
    plan: str
    planned_at: str
    fate: Fate = "planned"
    accepted: int = 0
    verdict: str = ""

    @property
    def counts(self) -> int:
        """Units that are billed by it, or may be."""
        return {"planned": self.quantity, "unknown": self.quantity, "accepted": self.accepted, "refused": 0}[self.fate]


class MeterRecord(_Strict):
    """The account of one resource and unit, which all processes change by its ETag alone. Key: see `meter_key`.

    Attributes:
        terms: oldest first.
        events: by hour, those that may still change, or whose hour may still be asked for.
        recounted: the day on which everything was last counted anew.
    """

    kind: ClassVar[str] = "meter"
    resource: Resource
    tenant: TenantId
    unit: str
    terms: tuple[Term, ...] = ()
    events: dict[str, Emission] = Field(default={})
    recounted: str = ""

    def owed(self, term: Term) -> int:
        """Return the units to bill that no event asks for; below 0 where more is billed than was used."""
        asked = sum(event.counts for event in self.events.values() if event.term == term.start)
        return term.over - term.accepted - term.lost - asked


class EmissionRecord(_Strict):
    """A usage event that is over. Key: `<meter key>/<hour>`."""

    kind: ClassVar[str] = "usage_event"
    event: Emission


def meter_key(resource: Resource, unit: str) -> str:
    return f"{resource.key}/{unit}"
