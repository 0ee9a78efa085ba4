"""What tenants can buy: `environments/plans.yaml`."""

from datetime import timedelta
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

from control import Amount, Terms
from core.errors import Defect
from interaction import Rate
from mandate.settings import Settings


class Plan(BaseModel):
    """What a tenant has bought; see `environments/plans.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: Amount
    per_person: Rate
    per_tenant: Rate


class _Marketplace(BaseModel):
    """See `marketplace` of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    region: str
    stamp: str
    grace_days: Annotated[int, Field(ge=7)]


def load_terms(settings: Settings) -> Terms:
    """Return what holds for those who buy on the marketplace.

    Raises:
        Defect: the base plan is none of ours (`defect.plan`).
    """
    raw = _read(settings)
    given = _Marketplace.model_validate(raw["marketplace"])
    if given.base not in raw["plans"]:
        raise Defect(f"The base plan `{given.base}` is none of the plans.", code="defect.plan")
    return Terms(list(raw["plans"]), given.base, given.region, given.stamp, timedelta(days=given.grace_days))


def _read(settings: Settings) -> dict[str, dict[str, object]]:
    return yaml.safe_load((settings.root / "environments" / "plans.yaml").read_text())
