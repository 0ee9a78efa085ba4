"""How much of what is bounded a subscription has left: models, Container Apps, Cosmos DB."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from core.errors import NotFound
from mandate.infra.arm import Arm
from mandate.infra.documents import Json, at, entries, fields, text
from mandate.infra.needs import PROCESSING, Missing, Model, Stamp

_COGNITIVE = "2024-10-01"


async def models(arm: Arm, stamp: Stamp, there: bool) -> AsyncIterator[Missing]:
    """Yield which models are not offered where they are wanted, or of which too little is left."""
    for location in dict.fromkeys(model.location for model in stamp.models):
        place = f"{arm.subscription}/providers/Microsoft.CognitiveServices/locations/{location}"
        offered, used = await asyncio.gather(
            arm.all(f"{place}/models", _COGNITIVE), arm.all(f"{place}/usages", _COGNITIVE)
        )
        for model in stamp.models:
            if model.location == location:
                for one in _model(model, offered, used, there):
                    yield one


def _model(model: Model, offered: list[Json], used: list[Json], there: bool) -> Iterator[Missing]:
    skus = [
        sku
        for one in offered
        if (text(one, "model", "name"), text(one, "model", "version")) == (model.name, model.version)
        for sku in entries(one, "model", "skus")
        if text(sku, "name") == PROCESSING
    ]
    if not skus:
        yield Missing(
            f"{model.name} {model.version} cannot be deployed as {PROCESSING} in {model.location}.",
            "Choose another region, or another version in environments/<environment>/models.yaml.",
        )
        return
    name = text(skus[0], "usageName")
    quota = next((one for one in used if text(one, "name", "value") == name), None)
    limit, current = _amount(quota, "limit"), _amount(quota, "currentValue")
    if limit - current < model.capacity:
        yield Missing(
            f"{model.capacity} thousand tokens a minute of {model.name} are wanted in {model.location}; of "
            f"{limit:g}, {current:g} are used." + (" This stamp's own may be among them." if there else ""),
            f"Ask for more of the quota {name} at https://aka.ms/oai/stuquotarequest, or lower `modelCapacity`.",
            blocking=not there or limit < model.capacity,
        )


async def apps(arm: Arm, stamp: Stamp, there: bool) -> AsyncIterator[Missing]:
    """Yield where Container Apps lets it have too little: environments, or cores in the one that is there."""
    usages = f"{arm.subscription}/providers/Microsoft.App/locations/{stamp.location}/usages"
    name, wanted = "ManagedEnvironmentCount", 1
    found = await arm.all(usages, "2024-03-01")
    if there:
        path = (
            f"{arm.subscription}/resourceGroups/{stamp.name}/providers/Microsoft.App/managedEnvironments/{stamp.name}"
        )
        try:
            found = await arm.all(f"{path}/usages", "2024-03-01")
        except NotFound:
            pass
        else:
            name, wanted = "ManagedEnvironmentConsumptionCores", stamp.cores
    quota = next((one for one in found if text(one, "name", "value") == name), None)
    used = 0 if name.endswith("Cores") else _amount(quota, "currentValue")
    if quota is not None and _amount(quota, "limit") - used < wanted:
        yield Missing(
            f"{wanted} of {name} are wanted in {stamp.location}; the limit is {_amount(quota, 'limit'):g}.",
            "Ask for more at Quotas in the portal (Microsoft.App), or lower `mostReplicas`.",
            blocking=not there,
        )


async def store(arm: Arm, stamp: Stamp, there: bool) -> AsyncIterator[Missing]:
    """Yield whether Cosmos DB is closed to the subscription in a region: for busy ones it has to be asked for."""
    place = f"{arm.subscription}/providers/Microsoft.DocumentDB/locations/{stamp.location}"
    found = fields(await arm.get(place, "2024-11-15"), "properties")
    kind = "Az" if stamp.zones else "Regular"
    if stamp.zones and at(found, "supportsAvailabilityZone") is False:
        yield Missing(
            f"Cosmos DB has no zones in {stamp.location}.", "Choose another region, or set `zoneRedundant` to false."
        )
    elif (
        text(found, "status") not in ("Online", "") or at(found, f"isSubscriptionRegionAccessAllowedFor{kind}") is False
    ):
        yield Missing(
            f"The subscription may not use Cosmos DB in {stamp.location}{' with zones' if stamp.zones else ''}.",
            "Ask for access to the region in a support request (Service and subscription limits, Cosmos DB).",
            blocking=not there,
        )


def _amount(node: Json, name: str) -> float:
    found = at(node, name)
    return float(found) if isinstance(found, int | float) else 0.0
