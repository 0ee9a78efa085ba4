"""The catalogue: which targets stand behind a logical model, for which plans and regions, until when, at what price."""

import logging
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from core.errors import Defect
from models.settings import UnsetError, resolve

NOTICE = timedelta(days=30)
_LOG = logging.getLogger("mandate.models")
_USUAL_PATH = {"openai": "/openai/v1", "azure-ai-inference": "/models"}

Names = Annotated[tuple[str, ...], Field(min_length=1)]
MicrosPer1k = Annotated[int, Field(ge=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Target(_Entry):
    """One deployment of a model at one endpoint.

    Attributes:
        endpoint: where the wire format's routes are. Without a path, Azure AI Foundry's own path is added:
            `/openai/v1` or `/models`, by the adapter.
        model: the name that the endpoint knows it by; in Azure AI Foundry the deployment's name.
        version: the model's version, pinned in the deployment.
        retires: the day from which the endpoint no longer serves this version.
        plans, regions: the tenants it may serve; `*` for all. Regions are residency: nothing overrides them.
        feature: only for tenants that have this feature; empty: for all. See docs/configuration.md.
        auth: `entra` sends a bearer token for `scope`; `none` is for a keyless endpoint on the laptop.
        input_micros_per_1k: price of 1,000 input tokens in millionths of the currency; without both prices a call is
            reported to cost 0, see `priced`.
        output_limit: what the endpoint calls the bound on output tokens; newer models know only the first.
        concurrency: calls under way at once from one process; more wait.
    """

    name: str
    adapter: Literal["openai", "azure-ai-inference"]
    endpoint: str
    model: str = Field(min_length=1)
    version: str = Field(min_length=1)
    retires: date
    plans: Names
    regions: Names
    feature: str = ""
    auth: Literal["entra", "none"]
    scope: str = "https://cognitiveservices.azure.com/.default"
    input_micros_per_1k: MicrosPer1k | None = None
    output_micros_per_1k: MicrosPer1k | None = None
    output_limit: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    concurrency: int = Field(default=64, ge=1)

    @field_validator("endpoint")
    @classmethod
    def _is_plain_address(cls, value: str) -> str:
        address = urlsplit(value)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError("must be an http or https address")
        if address.username or address.password or address.query or address.fragment:
            raise ValueError("must hold no user, password, query or fragment")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _sends_tokens_safely(self) -> Self:
        if self.auth == "entra" and not self.endpoint.startswith("https://"):
            raise ValueError("auth: entra needs an https endpoint, since it sends a token")
        if self.auth == "none" and self.adapter == "azure-ai-inference":
            raise ValueError("the azure-ai-inference adapter has no keyless form: use auth: entra, or adapter: openai")
        if (self.input_micros_per_1k is None) != (self.output_micros_per_1k is None):
            raise ValueError("give both prices, or neither")
        return self

    @property
    def base_url(self) -> str:
        return self.endpoint if urlsplit(self.endpoint).path else self.endpoint + _USUAL_PATH[self.adapter]

    @property
    def priced(self) -> bool:
        return self.input_micros_per_1k is not None

    def cost(self, input_tokens: int, output_tokens: int) -> int:
        """Return what that many tokens cost in millionths of the currency, rounded up."""
        sum_ = input_tokens * (self.input_micros_per_1k or 0) + output_tokens * (self.output_micros_per_1k or 0)
        return -(-sum_ // 1000)

    def serves(self, plan: str, region: str, features: Collection[str] = ()) -> bool:
        bought = not {"*", plan}.isdisjoint(self.plans) and not {"*", region}.isdisjoint(self.regions)
        return bought and (not self.feature or self.feature in features)


class _Logical(_Entry):
    targets: tuple[Target, ...] = Field(min_length=1)

    @field_validator("targets")
    @classmethod
    def _are_told_apart(cls, value: tuple[Target, ...]) -> tuple[Target, ...]:
        if len({target.name for target in value}) < len(value):
            raise ValueError("two targets have the same name")
        return value


class ChatModel(_Logical):
    purpose: Literal["chat"]


class EmbedModel(_Logical):
    """Vectors of `dimensions` numbers; the prefixes are what the model wants before a question and before a passage."""

    purpose: Literal["embed"]
    dimensions: int = Field(ge=1, le=8192)
    query_prefix: str = ""
    passage_prefix: str = ""

    @field_validator("targets")
    @classmethod
    def _are_for_all(cls, value: tuple[Target, ...]) -> tuple[Target, ...]:
        if any(target.feature for target in value):
            raise ValueError(
                "a model that embeds cannot be for some tenants only: no question would fit what is stored"
            )
        return value


LogicalModel = Annotated[ChatModel | EmbedModel, Field(discriminator="purpose")]


class _Priced(BaseModel):
    """What a catalogue says about money, whatever else is in it."""

    currency: str = Field(pattern="^[A-Z]{3}$")


def catalogue_currency(path: Path) -> str:
    """Return the currency of a catalogue's prices, for whoever calls no model and has no settings for one.

    Raises:
        Defect: it cannot be read (code `defect.catalogue`).
    """
    try:
        return _Priced.model_validate(yaml.safe_load(path.read_text("utf-8"))).currency
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise _unusable(f"{path.parent.name}/{path.name}", "it names no currency such as EUR") from error


class Catalogue(_Entry):
    """The logical models of one environment. The order of targets is the order in which they are tried."""

    currency: str = Field(pattern="^[A-Z]{3}$")
    models: dict[str, LogicalModel] = Field(min_length=1)

    @classmethod
    def load(cls, path: Path, *, settings: Mapping[str, str], local: bool, today: date) -> Self:
        """Read the catalogue of an environment at start-up.

        Args:
            path: the environment's `models.yaml`.
            settings: what `${NAME}` in it refers to.
            local: whether this is the laptop: only there may a target be keyless, or past its retirement.
            today: the day that retirement dates are compared with.

        Raises:
            Defect: it cannot be used; the message says where and why (code `defect.catalogue`).
        """
        place = f"{path.parent.name}/{path.name}"
        try:
            catalogue = cls.model_validate(resolve(yaml.safe_load(path.read_text("utf-8")), settings))
        except OSError as error:
            raise _unusable(place, "it cannot be read") from error
        except yaml.YAMLError as error:
            raise _unusable(place, "it is not valid YAML") from error
        except UnsetError as error:
            raise _unusable(place, f"it refers to {error.args[0]}, which is not set: set it") from error
        except ValidationError as error:
            raise _unusable(place, _first_problem(error)) from error
        _check_targets(catalogue, place, local=local, today=today)
        return catalogue

    def eligible(self, logical: str, plan: str, region: str, features: Collection[str] = ()) -> tuple[Target, ...]:
        """Return the targets that may serve a tenant of `plan` in `region` with `features`, in order; maybe none."""
        return tuple(target for target in self.model(logical).targets if target.serves(plan, region, features))

    def model(self, logical: str) -> ChatModel | EmbedModel:
        """Return the logical model of that name.

        Raises:
            Defect: there is none.
        """
        found = self.models.get(logical)
        if found is None:
            raise Defect("The model catalogue has no such logical model: add it.", code="defect.model_unknown")
        return found


def _check_targets(catalogue: Catalogue, place: str, *, local: bool, today: date) -> None:
    for logical, model in catalogue.models.items():
        for target in model.targets:
            where = f"models.{logical}: target {target.name}"
            if target.auth == "none" and not local:
                raise _unusable(place, f"{where} has auth: none, which only the laptop may have: use entra")
            if target.retires <= today and not local:
                raise _unusable(place, f"{where} retired on {target.retires}: pin a later version")
            if target.retires <= today + NOTICE:
                _LOG.warning("%s: %s retires on %s: plan its successor", place, where, target.retires)


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _unusable(place: str, why: str) -> Defect:
    return Defect(f"The model catalogue {place} cannot be used: {why}.", code="defect.catalogue")
