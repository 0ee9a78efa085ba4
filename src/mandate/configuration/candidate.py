"""The flag `candidate`: which tenants the candidate revision of orchestration works for, ring by ring.

It is a flag like any other, but in no file: it is about a release that is under way, not about an environment. So the
job `configuration` writes it into the store, and leaves alone what the stable revision reads besides.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from control import Flag
from core.errors import Defect, NotFound
from mandate.configuration.announcing import announced, before_it
from mandate.configuration.app_configuration import SENTINEL
from mandate.configuration.loading import FLAG_KEY, flag_setting, kept
from mandate.configuration.tree import CANDIDATE, filled

if TYPE_CHECKING:
    from azure.appconfiguration import ConfigurationSetting
    from azure.appconfiguration.aio import AzureAppConfigurationClient

NOBODY = "nobody"
"""In place of a ring: the way back, at once for all tenants."""

_KEY = f"{FLAG_KEY}{CANDIDATE}"
_RINGS = TypeAdapter(tuple[str, ...])
_FLAG = Flag.model_validate(
    {
        "id": CANDIDATE,
        "description": "A new release of the software that runs your agents. What is under way goes on, and nobody "
        "has to do anything.",
        "enabled": True,
        "conditions": {
            "requirement_type": "All",
            "client_filters": [{"name": "Microsoft.Targeting", "parameters": {"Audience": {}}}],
        },
    }
)


async def candidate_to(
    client: "AzureAppConfigurationClient", label: str, ring: str, at: datetime, *, urgent: bool
) -> str:
    """Announce the candidate to a ring in the store, or to nobody any more; return what was done, in a line.

    The rings before it keep their time, as does the ring itself where this is run again; those after it lose theirs.

    Args:
        client: of the store.
        label: the environment.
        ring: one of those in the store, or `nobody`.
        at: for when it is announced.
        urgent: whether it waits for no tenant's windows, in the rings before it either.

    Raises:
        NotFound: there is no such ring, or nothing was loaded into the store yet.
        Conflict: it has not been announced to the rings before (`promotion.ring`).
        Defect: the flag in the store is none of ours (`defect.configuration`).
    """
    found = await kept(client, label)
    if ring == NOBODY:
        if _KEY in found:
            await client.delete_configuration_setting(_KEY, label)
        return f"{CANDIDATE}: announced to nobody; the stable revision works for all tenants."
    flag = candidate(_before(found), _rings(found), ring, at, urgent=urgent)
    await client.set_configuration_setting(flag_setting(label, flag.model_dump(mode="json")))
    return f"{CANDIDATE}: announced to {ring}; each tenant gets it when its windows let it."


def candidate(before: Flag | None, rings: Sequence[str], ring: str, at: datetime, *, urgent: bool) -> Flag:
    """Return the flag that is for a ring and those before it.

    Raises:
        NotFound, Conflict: as above.
    """
    if ring not in rings:
        raise NotFound(f"There is no ring `{ring}`. Rings are: {', '.join(rings)}; or `{NOBODY}`.")
    since = before.announced.since if before and before.announced else {}
    flag = _FLAG
    for one in (*before_it(rings, ring, since, at), ring):
        flag = announced(flag, one, since.get(one, at), urgent=urgent)
    return flag


def _rings(found: "Mapping[str, ConfigurationSetting]") -> tuple[str, ...]:
    if SENTINEL not in found or "rings" not in found:
        raise NotFound("Nothing was loaded into the store yet, so nobody reads it. Run `mandate env load` first.")
    return _RINGS.validate_json(str(found["rings"].value))


def _before(found: "Mapping[str, ConfigurationSetting]") -> Flag | None:
    if _KEY not in found:
        return None
    try:
        return Flag.model_validate(filled(json.loads(str(found[_KEY].value))))
    except (ValueError, ValidationError):
        message = f"The flag `{CANDIDATE}` in the store is none that a release wrote. Announce it to `{NOBODY}` first."
        raise Defect(message, code="defect.configuration") from None
