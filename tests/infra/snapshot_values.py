"""What a snapshot gives each service, with the addresses of emulators where Azure would put its own."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from infra_files import of_type

from mandate.services import Name, Services, local_client_id
from mandate.settings import ROOT

GIVEN = {"MANDATE_BACKOFFICE_URL"}
"""Addresses that are parameters of the template, made up in the repository; all others are expressions there."""


@dataclass(frozen=True)
class Probe:
    """One probe of the platform: after `failures` in a row, `period` seconds apart, a container is replaced."""

    kind: str
    url: str
    period: float
    failures: int


@dataclass(frozen=True)
class Container:
    command: tuple[str, ...]
    port: int
    environment: Mapping[str, str]
    probes: tuple[Probe, ...]


def containers(environment: str, addresses: Mapping[str, str]) -> Mapping[str, Container]:
    """Return the services of an environment.

    Args:
        environment: whose snapshot.
        addresses: value by setting, for those that Azure computes when it deploys. One that is missing is an error.
    """
    return {name: _container(environment, name, addresses) for name in Services.load(ROOT / "environments").services}


def _container(environment: str, name: Name, addresses: Mapping[str, str]) -> Container:
    (app,) = (one for one in of_type(environment, "Microsoft.App/containerApps") if one["name"] == name)
    (container,) = cast("list[dict[str, Any]]", app["properties"]["template"]["containers"])
    return Container(
        command=tuple(container["command"]),
        port=app["properties"]["configuration"]["ingress"]["targetPort"],
        environment={one["name"]: _value(one["name"], one["value"], addresses) for one in container["env"]},
        probes=tuple(_probe(one) for one in container["probes"]),
    )


def _value(name: str, value: str, addresses: Mapping[str, str]) -> str:
    """Return a value as it stands; what Azure would compute is an expression in brackets."""
    computed = value.startswith("[")
    if computed and (client := re.fullmatch("MANDATE_CLIENT_ID_(.+)", name)):
        return local_client_id(client[1].lower())
    assert computed or name in GIVEN or name not in addresses, f"{name} has a value of its own"
    return addresses[name] if computed or name in GIVEN else value


def _probe(probe: dict[str, Any]) -> Probe:
    asked = probe["httpGet"]
    url = f"{asked['scheme'].lower()}://127.0.0.1:{asked['port']}{asked['path']}"
    return Probe(probe["type"], url, probe["periodSeconds"], probe["failureThreshold"])
