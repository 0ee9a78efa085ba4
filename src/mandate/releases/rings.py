"""`mandate promote ENV --feature F --to-ring R`: a feature goes to the tenants of one more ring.

When it comes to each of them, their own windows say: the flag only says for when it is announced.
"""

from datetime import datetime
from pathlib import Path

import yaml

from control import Announced, Conditions, Flag, FlagGroup, Targeting, WindowFilter
from core.errors import Conflict, NotFound
from mandate.configuration.files import Files
from mandate.configuration.tree import parse


def to_ring(root: Path, environment: str, feature: str, ring: str, at: datetime) -> str:
    """Announce a feature to a ring in the environment's flags; return what was done, in a line.

    Raises:
        NotFound: there is no such flag, or no such ring.
        Conflict: the feature has not been announced to the rings before (`promotion.ring`).
    """
    files = Files(root / "environments", environment)
    live = parse(files.read_now())
    flag = next((one for one in live.flags if one.id == feature), None)
    if flag is None or ring not in live.rings:
        raise NotFound(f"There is no flag `{feature}` in {environment}, or no ring `{ring}`.")
    known = flag.announced.since if flag.announced else {}
    before = live.rings[: live.rings.index(ring)]
    if any(one not in known or known[one] > at for one in before):
        raise Conflict(f"First to the rings before it, not after it: {', '.join(before)}.", code="promotion.ring")
    changed = _announced(flag, ring, at)
    flags = [changed if one.id == feature else one for one in live.flags]
    head = "".join(line for line in files.flags.read_text("utf-8").splitlines(keepends=True) if line.startswith("#"))
    written = {"flags": [one.model_dump(mode="json", exclude_defaults=True) for one in flags]}
    files.flags.write_text(head + yaml.safe_dump(written, sort_keys=False), "utf-8")
    return f"{feature}: announced to {ring} for {at.isoformat()}; each tenant gets it when its windows let it."


def _announced(flag: Flag, ring: str, at: datetime) -> Flag:
    """Return the flag with one more ring, among those that it is for and in what is announced."""
    before = flag.announced
    window = Announced.model_validate(
        {"From": {**(before.since if before else {}), ring: at}, "Urgent": bool(before and before.urgent)}
    )
    targeted = [_wider(one, ring) for one in flag.conditions.client_filters if isinstance(one, Targeting)]
    filters = (*targeted, WindowFilter(name="Mandate.ChangeWindow", parameters=window))
    conditions = Conditions(requirement_type="All", client_filters=filters)
    return flag.model_copy(update={"enabled": True, "conditions": conditions})


def _wider(targeting: Targeting, ring: str) -> Targeting:
    audience = targeting.parameters.audience
    if ring in [group.name for group in audience.groups]:
        return targeting
    wider = audience.model_copy(update={"groups": (*audience.groups, FlagGroup.model_validate({"Name": ring}))})
    return targeting.model_copy(update={"parameters": targeting.parameters.model_copy(update={"audience": wider})})
