"""The manifest of a release: `release.yaml` of an environment."""

from pathlib import Path
from typing import Annotated, Any, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from control import load_agents, publisher_text
from core import canonical, digest
from core.errors import Defect
from mandate.version import VERSION

Image = Annotated[str, Field(pattern=r"^[a-z0-9.:/_-]+@sha256:[0-9a-f]{64}$")]

NOT_RELEASED = "0" * 64
"""Where an image's digest would be: nothing was released to the environment yet."""

FILE = "release.yaml"
_HEADER = """\
# What runs in `{name}`: written by `mandate env pin` and `mandate promote`, never by hand. docs/configuration.md
"""


class AgentPin(BaseModel):
    """An agent's version, and that of each of its prompts by its hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    prompts: dict[str, str]


class Release(BaseModel):
    """One release. `id` is the hash of everything else, so that a changed one is no release.

    Attributes:
        image: by its digest.
        code: version of the product.
        agents: by name.
        policy: hash of the publisher's policies.
        models: by logical name, each target's model and version in the order in which they are tried.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    image: Image
    code: str
    agents: dict[str, AgentPin]
    policy: str
    models: dict[str, list[str]]

    @property
    def contents_id(self) -> str:
        return digest(canonical(self.model_dump(exclude={"id"})))[:32]

    @property
    def is_released(self) -> bool:
        return not self.image.endswith(NOT_RELEASED)


def made_of(root: Path, environment: str, image: str) -> Release:
    """Return the release of an image that was built from these files, with the models that an environment pins.

    Raises:
        Defect: the image is not named by its digest (`defect.release`).
    """
    agents = {
        name: AgentPin(version=agent.version, prompts={key: str(value) for key, value in agent.prompts.items()})
        for name, agent in sorted(load_agents(root / "agents").items())
    }
    try:
        release = Release(
            id="",
            image=image,
            code=VERSION,
            agents=agents,
            policy=digest(publisher_text().encode())[:32],
            models=model_pins(root, environment),
        )
    except ValidationError:
        raise Defect(
            "The image must be named by its digest, as `.../mandate@sha256:...`.", code="defect.release"
        ) from None
    return release.model_copy(update={"id": release.contents_id})


def model_pins(root: Path, environment: str) -> dict[str, list[str]]:
    """Return which models and versions an environment's catalogue pins."""
    text = (root / "environments" / environment / "models.yaml").read_text("utf-8")
    models = cast("dict[str, dict[str, list[dict[str, Any]]]]", yaml.safe_load(text)["models"])
    return {name: [f"{one['model']}@{one['version']}" for one in model["targets"]] for name, model in models.items()}


def read_release(root: Path, environment: str) -> Release:
    """Return an environment's release.

    Raises:
        Defect: there is none, or it was changed by hand (`defect.release`).
    """
    path = root / "environments" / environment / FILE
    try:
        release = Release.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, yaml.YAMLError, ValidationError):
        raise Defect(
            f"{environment}/{FILE} is no release. Make one with `mandate env pin`.", code="defect.release"
        ) from None
    if release.id != release.contents_id:
        message = f"{environment}/{FILE} is not as it was made. Make one with `mandate env pin`, or promote one."
        raise Defect(message, code="defect.release")
    return release


def write_release(root: Path, environment: str, release: Release) -> Path:
    path = root / "environments" / environment / FILE
    path.write_text(_HEADER.format(name=environment) + yaml.safe_dump(release.model_dump(), sort_keys=False), "utf-8")
    return path
