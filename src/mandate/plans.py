"""What tenants can buy: `environments/plans.yaml`."""

from collections.abc import Mapping

import yaml
from pydantic import BaseModel, ConfigDict

from control import Amount
from interaction import Rate
from mandate.settings import Settings


class Plan(BaseModel):
    """What a tenant has bought; see `environments/plans.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: Amount
    per_person: Rate
    per_tenant: Rate


def load_plans(settings: Settings) -> Mapping[str, Plan]:
    raw = yaml.safe_load((settings.root / "environments" / "plans.yaml").read_text())
    return {name: Plan.model_validate(plan) for name, plan in raw["plans"].items()}
