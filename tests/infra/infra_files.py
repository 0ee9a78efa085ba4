"""The snapshots in the repository, as data."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from mandate.infra.bicep import CONTEXT
from mandate.infra.building import parameter_file

Resource = dict[str, Any]

_GIVEN = dict(zip(CONTEXT[::2], CONTEXT[1::2], strict=True))
METADATA = {
    "tenantId": _GIVEN["--tenant-id"],
    "subscriptionId": _GIVEN["--subscription-id"],
    "location": _GIVEN["--location"],
    "deploymentName": _GIVEN["--deployment-name"],
}
"""Made up, and always the same: what a snapshot is of."""


def snapshot_text(environment: str) -> str:
    return parameter_file(environment).with_name("main.snapshot.json").read_text("utf-8-sig")


@cache
def snapshot(environment: str) -> list[Resource]:
    """Return the resources that would be deployed."""
    return cast("list[Resource]", json.loads(snapshot_text(environment))["predictedResources"])


def of_type(environment: str, kind: str) -> list[Resource]:
    return [resource for resource in snapshot(environment) if resource["type"].lower() == kind.lower()]


def strings(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, value in cast("dict[str, object]", node).items():
            yield key
            yield from strings(value)
    elif isinstance(node, list):
        for value in cast("list[object]", node):
            yield from strings(value)
