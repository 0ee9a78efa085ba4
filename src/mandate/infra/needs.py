"""What an environment asks of a subscription, by its compiled template and parameters."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from mandate.infra.bicep import Bicep
from mandate.infra.documents import Json, Object, at, entries, fields, parse, templates, text
from mandate.settings import ROOT

CORES = 1
"""Of each replica, as infra/modules/service.bicep has it."""

PROCESSING = "DataZoneStandard"
"""How deployments of models process, as infra/stamp.bicep has it unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Model:
    """A deployment of a model; `capacity` is in thousands of tokens a minute."""

    location: str
    name: str
    version: str
    capacity: int


@dataclass(frozen=True, slots=True)
class Stamp:
    """One stamp.

    Attributes:
        name: also of its resource group.
        cores: the most that its services take at a time, during a release.
        zones: whether it is spread over zones.
    """

    name: str
    location: str
    failover: str
    cores: int
    zones: bool
    models: tuple[Model, ...]


@dataclass(frozen=True, slots=True)
class Needs:
    """What is asked of a subscription.

    Attributes:
        location: where the deployment itself is recorded.
        types: of the resources, such as `Microsoft.App/containerApps`.
        template, parameters: as they are sent to Azure.
    """

    stamps: tuple[Stamp, ...]
    location: str
    types: frozenset[str]
    template: Object
    parameters: Object


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that a subscription does not have.

    Attributes:
        what: is missing.
        do: what to do about it.
        blocking: whether the deployment would fail.
    """

    what: str
    do: str
    blocking: bool = True

    def __str__(self) -> str:
        return f"{'error' if self.blocking else 'warning'}: {self.what}\n  {self.do}"


def needs_of(file: Path, root: Path = ROOT) -> Needs:
    """Compile a parameter file of infra/main.bicep and return what it asks for.

    Raises:
        Unavailable: it cannot be compiled (`local.bicep`).
    """
    template, parameters = Bicep.find().parameters(file)
    return read(template, fields(parameters, "parameters"), root)


def read(template: Object, parameters: Object, root: Path = ROOT) -> Needs:
    """Return what a compiled template with these parameters asks for; `root` has the catalogues of models."""
    environment = text(parameters, "environmentName", "value")
    sized = fields(parameters, "sized", "value")
    services = len(fields(_yaml(root / "environments" / "services.yaml"), "services"))
    catalogue = _yaml(root / "environments" / environment / "models.yaml")
    stamps = tuple(
        Stamp(
            name=text(one, "name"),
            location=text(one, "location"),
            failover=text(one, "failoverLocation"),
            cores=2 * services * _number(sized, "mostReplicas") * CORES,
            zones=at(sized, "zoneRedundant") is True,
            models=tuple(_models(one, catalogue, _number(sized, "modelCapacity"))),
        )
        for one in entries(parameters, "stamps", "value")
    )
    types = {text(found, "type") for inner in templates(template) for found in inner.resources}
    return Needs(stamps, stamps[0].location, frozenset(types), template, parameters)


def _models(stamp: Json, catalogue: Json, capacity: int) -> Iterator[Model]:
    accounts = {"PRIMARY": text(stamp, "location"), "FAILOVER": text(stamp, "failoverLocation")}
    for model in fields(catalogue, "models").values():
        for target in entries(model, "targets"):
            account = text(target, "endpoint").removeprefix("${MODEL_ENDPOINT_").removesuffix("}")
            if account in accounts:
                yield Model(accounts[account], text(target, "model"), text(target, "version"), capacity)


def _yaml(file: Path) -> Object:
    return parse(json.dumps(yaml.safe_load(file.read_text()), default=str))


def _number(node: Json, name: str) -> int:
    found = at(node, name)
    return found if isinstance(found, int) else 0
