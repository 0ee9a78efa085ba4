"""What tenants can buy: `environments/plans.yaml`, and what is billed by use: `environments/units.yaml`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from control import Amount, Capability, Offer, Offered, Terms, Unit, load_offer
from core import ContentClass
from core.errors import Defect
from interaction import Rate
from mandate.settings import Settings


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_OfRuns = Literal["prompt", "answer", "arguments", "result", "passages"]
"""Content of runs: how long the rest stays is no matter of what somebody pays."""


class Plan(_Strict):
    """What a tenant has bought; see `environments/plans.yaml`."""

    budget: Amount
    per_person: Rate
    per_tenant: Rate
    features: frozenset[Capability]
    models: frozenset[str]
    meters: dict[str, Annotated[int, Field(ge=0)]] = {}
    retention: dict[_OfRuns, Annotated[int, Field(ge=1, le=36_500)]] = {}

    @property
    def offered(self) -> Offered:
        kept = {ContentClass(kind): days for kind, days in self.retention.items()}
        return Offered(self.features, self.models, self.budget, self.meters, kept)


class _Marketplace(_Strict):
    """See `marketplace` of the file."""

    base: str
    region: str
    stamp: str
    grace_days: Annotated[int, Field(ge=7)]


class _Units(_Strict):
    """The file `environments/units.yaml`."""

    units: dict[str, dict[str, str]]


def load_terms(settings: Settings) -> Terms:
    """Return what holds for those who buy on the marketplace.

    Raises:
        Defect: the base plan is none of ours (`defect.plan`).
    """
    raw = _read(settings, "plans")
    given = _Marketplace.model_validate(raw["marketplace"])
    if given.base not in raw["plans"]:
        raise Defect(f"The base plan `{given.base}` is none of the plans.", code="defect.plan")
    offer = offered(settings)
    return Terms(
        list(raw["plans"]),
        given.base,
        given.region,
        given.stamp,
        timedelta(days=given.grace_days),
        offer.changes,
        offer.warns,
    )


def offered(settings: Settings) -> Offer:
    return load_offer(settings.root / "environments" / "offer.yaml")


def load_units(settings: Settings) -> Mapping[str, Unit]:
    """Return what can be billed by use, by the name that it has in the offer too."""
    units = _Units.model_validate(_read(settings, "units")).units
    return {name: Unit.model_validate({"name": name, **unit}) for name, unit in units.items()}


def _read(settings: Settings, file: str) -> dict[str, dict[str, object]]:
    return yaml.safe_load((settings.root / "environments" / f"{file}.yaml").read_text())
