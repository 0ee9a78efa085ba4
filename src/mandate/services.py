"""`environments/services.yaml`: what each deployable is and needs. The program holds itself to it."""

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from core.errors import Defect

Name = Literal["interaction", "control", "orchestration"]

NAMES: tuple[Name, ...] = ("control", "orchestration", "interaction")
"""In the order in which they start: each after its peers."""

CALL = "call"
"""App role with which one of our services calls another for somebody."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Probes(_Strict):
    live: str
    ready: str


class Scale(_Strict):
    requests: int
    cpu: int


class Service(_Strict):
    """One deployable; the fields are explained in the file."""

    command: tuple[str, ...]
    public: bool
    port: int
    audience: str
    accepts: Mapping[str, str]
    identity: str
    roles: tuple[str, ...]
    peers: tuple[Name, ...]
    egress: tuple[str, ...]
    probes: Probes
    scale: Scale
    settings: tuple[str, ...]

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(name.rstrip("*") for name in self.settings if name.endswith("*"))


class Job(_Strict):
    """What runs once, when somebody starts it."""

    command: tuple[str, ...]
    identity: str
    roles: tuple[str, ...]
    settings: tuple[str, ...]

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(name.rstrip("*") for name in self.settings if name.endswith("*"))


class Services(_Strict):
    services: Mapping[Name, Service]
    jobs: Mapping[str, Job]

    @classmethod
    def load(cls, environments: Path) -> "Services":
        return cls.model_validate(yaml.safe_load((environments / "services.yaml").read_text()))

    def identity_names(self) -> tuple[str, ...]:
        """Return every identity: one of each service and job."""
        return tuple(one.identity for one in (*self.services.values(), *self.jobs.values()))

    def check(self, name: Name, environ: Mapping[str, str] = os.environ) -> Service:
        """Return the service, or say which of its settings are missing.

        Raises:
            Defect: it may not start (`defect.settings`).
        """
        service = self.services[name]
        if missing := _missing(service, environ):
            raise Defect(
                f"The {name} service cannot start without {missing}. On a laptop, use `mandate up`.",
                code="defect.settings",
            )
        return service

    def check_job(self, name: str, environ: Mapping[str, str] = os.environ) -> Job:
        """Return the job, or say which of its settings are missing.

        Raises:
            Defect: it may not start (`defect.settings`).
        """
        job = self.jobs[name]
        if missing := _missing(job, environ):
            raise Defect(f"The job {name} cannot start without {missing}.", code="defect.settings")
        return job


def _missing(one: Service | Job, environ: Mapping[str, str]) -> str:
    return ", ".join(setting for setting in one.required if not environ.get(setting))


def local_client_id(identity: str) -> str:
    """Return the client id that an identity has on a laptop; in Azure it is the managed identity's own."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"mandate:local:{identity}"))
