"""Flags as data, in the schema of Microsoft's feature management; evaluated by its library.

Of the schema two filters are taken and everything else is refused, so that a flag never means something else to the
portal than to us: `Microsoft.Targeting`, whose users are tenants and whose groups are rings; `Mandate.ChangeWindow`, by
which a change waits for the windows of the organisation that it comes to.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal, cast

from featuremanagement import FeatureFilter, FeatureManager, TargetingContext
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from core import TenantId
from core.errors import Defect

WINDOW_FILTER = "Mandate.ChangeWindow"

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
_Percent = Annotated[int, Field(ge=0, le=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


class FlagGroup(_Strict):
    name: Slug = Field(alias="Name")
    percentage: _Percent = Field(default=100, alias="RolloutPercentage")


class Excluded(_Strict):
    users: tuple[str, ...] = Field(default=(), alias="Users")
    groups: tuple[str, ...] = Field(default=(), alias="Groups")


class Audience(_Strict):
    users: tuple[str, ...] = Field(default=(), alias="Users")
    groups: tuple[FlagGroup, ...] = Field(default=(), alias="Groups")
    others: _Percent = Field(default=0, alias="DefaultRolloutPercentage")
    excluded: Excluded = Field(default=Excluded(), alias="Exclusion")


class _TargetingParameters(_Strict):
    audience: Audience = Field(alias="Audience")


class Targeting(_Strict):
    name: Literal["Microsoft.Targeting"]
    parameters: _TargetingParameters


class Announced(_Strict):
    """For when a change is announced, by ring: to others it does not come. An urgent one waits for no window."""

    since: dict[Slug, AwareDatetime] = Field(alias="From", min_length=1)
    urgent: bool = Field(default=False, alias="Urgent")


class WindowFilter(_Strict):
    name: Literal["Mandate.ChangeWindow"]
    parameters: Announced


class Conditions(_Strict):
    """`requirement_type` is stated, since the schema's default lets in whoever fits one filter."""

    requirement_type: Literal["All", "Any"] = "Any"
    client_filters: tuple[Annotated[Targeting | WindowFilter, Field(discriminator="name")], ...] = ()

    @model_validator(mode="after")
    def _all(self) -> "Conditions":
        if self.client_filters and self.requirement_type != "All":
            raise ValueError("requirement_type must be All: the filters have to fit together")
        if len({one.name for one in self.client_filters}) < len(self.client_filters):
            raise ValueError("each filter may be there once")
        return self


class Flag(_Strict):
    """One feature: `description` is what customers read of it before it comes to them."""

    id: Slug
    description: Annotated[str, Field(min_length=1, max_length=400)]
    enabled: bool
    conditions: Conditions = Conditions()
    display_name: str = ""

    @property
    def announced(self) -> Announced | None:
        found = [one.parameters for one in self.conditions.client_filters if isinstance(one, WindowFilter)]
        return found[0] if found else None


class Flags:
    """A set of flags that was validated.

    Raises:
        Defect: two have the same id (`defect.configuration`).
    """

    def __init__(self, flags: Sequence[Flag] = ()) -> None:
        self.all = {flag.id: flag for flag in flags}
        if len(self.all) < len(flags):
            raise Defect("Two flags have the same id.", code="defect.configuration")

    def on(self, tenant: TenantId, ring: str, has_come: Callable[[datetime, bool], bool]) -> frozenset[str]:
        """Return the flags that are on for a tenant of a ring.

        Args:
            tenant: stands among the users of a targeting filter.
            ring: stands among its groups.
            has_come: whether a change, announced for a time and urgent or not, has come to the tenant.
        """
        context = TargetingContext(user_id=tenant, groups=[ring])
        # What the library declares of it leaves out the context, which it documents.
        ask = cast("Callable[..., bool]", self._library.is_enabled)
        return frozenset(name for name in self.all if ask(name, context, has_come=has_come))

    @cached_property
    def _library(self) -> FeatureManager:
        told = [flag.model_dump(mode="json", exclude={"display_name"}) for flag in self.all.values()]
        known = {"feature_management": {"feature_flags": told}}
        return FeatureManager(known, feature_filters=[_ChangeWindowFilter()])


class _ChangeWindowFilter(FeatureFilter):
    """Asks the caller's `has_come`, for the ring that is the only one of its groups."""

    _alias = WINDOW_FILTER

    def evaluate(self, context: Mapping[str, object], **kwargs: object) -> bool:
        """Return whether the change that `context` announces has come."""
        given = Announced.model_validate(context["parameters"])
        (ring,) = cast("Sequence[str]", kwargs["groups"])
        has_come = cast("Callable[[datetime, bool], bool]", kwargs["has_come"])
        return ring in given.since and has_come(given.since[ring], given.urgent)
