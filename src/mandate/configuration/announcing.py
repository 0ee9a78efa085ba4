"""For which rings a flag is announced: one more at a time, never before those that come before it.

When it comes to each tenant, its own windows say: the flag only says for when it is announced.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from control import Announced, Conditions, Flag, FlagGroup, Targeting, WindowFilter
from core.errors import Conflict


def before_it(rings: Sequence[str], ring: str, since: Mapping[str, datetime], at: datetime) -> Sequence[str]:
    """Return the rings that come before `ring`, all of which have to be in `since`, for `at` or earlier.

    Raises:
        Conflict: one is not (`promotion.ring`).
    """
    before = rings[: rings.index(ring)]
    if any(one not in since or since[one] > at for one in before):
        raise Conflict(f"First to the rings before it, not after it: {', '.join(before)}.", code="promotion.ring")
    return before


def announced(flag: Flag, ring: str, at: datetime, *, urgent: bool = False) -> Flag:
    """Return the flag with one more ring, among those that it is for and in what is announced."""
    before = flag.announced
    window = Announced.model_validate(
        {"From": {**(before.since if before else {}), ring: at}, "Urgent": urgent or bool(before and before.urgent)}
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
