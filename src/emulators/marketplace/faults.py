"""What shall go wrong, ordered by whoever tries the product."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Few = Annotated[int, Field(ge=0, le=10_000)]


class Faults(BaseModel):
    """Each number counts down as it strikes.

    Attributes:
        status: with which the API's calls are answered, before they have any effect, `calls` times.
        cut: so many calls have their effect, and their answer never comes.
        lose: so many webhooks are never sent.
        extra: every webhook is sent so many times more.
        hold: no webhook is sent; those that were held go out last first.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    status: Annotated[int, Field(ge=400, le=599)] = 503
    calls: _Few = 0
    cut: _Few = 0
    lose: _Few = 0
    extra: _Few = 0
    hold: bool = False
