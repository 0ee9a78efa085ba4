"""The register of an agent: what is claimed of it, by what measure, on what evidence, and until when that counts.

`agents/<name>/register.yaml` is the publisher's; a claim changes with a new version. One that is past its review, that
broke its threshold when it was measured, or that the publisher marked as failed, switches off what it is about.
"""

from collections.abc import Container, Iterable
from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
_Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]

WHOLE_AGENT = "agent"
SEARCH = "search"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClaimState(StrEnum):
    HOLDS = "holds"
    NOT_MEASURED = "not_measured"
    LAPSED = "lapsed"
    FAILED = "failed"

    @property
    def stops(self) -> bool:
        """Whether what the claim is about is off."""
        return self in (ClaimState.LAPSED, ClaimState.FAILED)


class Measured(_Strict):
    value: int
    day: date


class Claim(_Strict):
    """One thing that is claimed of an agent.

    Attributes:
        id: begins with the agent's name.
        metric: what is counted, in words; `unit` of what.
        at_most: what the measured value may be at most, or `at_least`: one of the two.
        evidence: path of the test or evaluation that measures it.
        measured: the last value; None where nobody has measured it yet.
        review_by: the last day on which the claim counts without a new review.
        switches_off: what stops with it: `agent`, `search`, or `tool/<name>`.
    """

    id: _Id
    claim: _Text
    metric: _Text
    unit: _Text
    at_most: int | None = None
    at_least: int | None = None
    evidence: _Text
    measured: Measured | None = None
    review_by: date
    switches_off: Annotated[str, StringConstraints(pattern=r"^(agent|search|tool/[a-z][a-z0-9_-]{0,63})$")]

    @property
    def switch(self) -> str:
        """Name of the publisher's switch that marks it as failed."""
        return f"claim/{self.id}"

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError(f"{self.id}: give `at_most` or `at_least`, one of the two")
        return self

    def state(self, marked: Container[str], today: date) -> ClaimState:
        """Return how it stands; `marked` are the publisher's switches."""
        if self.switch in marked or (self.measured and not self._within(self.measured.value)):
            return ClaimState.FAILED
        if today > self.review_by:
            return ClaimState.LAPSED
        return ClaimState.HOLDS if self.measured else ClaimState.NOT_MEASURED

    def _within(self, value: int) -> bool:
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)


class KnownError(_Strict):
    """A kind of error to expect, and what to do about it."""

    name: _Text
    what: _Text


class Register(_Strict):
    known_errors: Annotated[tuple[KnownError, ...], Field(min_length=1)]
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]


def stopped_by(claims: Iterable[Claim], marked: Container[str], today: date) -> frozenset[str]:
    """Return what is off since a claim about it lapsed or failed: `agent`, `search`, `tool/<name>`."""
    return frozenset(claim.switches_off for claim in claims if claim.state(marked, today).stops)
