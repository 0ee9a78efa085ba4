"""How an endpoint answers: a strict model straight to JSON, described once for the API's readers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Response
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

from web import problem_responses

_ALWAYS = (400, 401, 403, 429, 500, 503)
"""What any endpoint with a signed-in caller may answer."""


def _moment(given: object) -> object:
    """Return the time that a text stands for, in UTC. JSON has no times, and a strict model takes no text for one."""
    if not isinstance(given, str):
        return given
    moment = datetime.fromisoformat(given)
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment
    except OverflowError:
        raise ValueError("beyond the calendar") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
"""Of a time in a body that we are given."""


class Given(BaseModel):
    """A body that we are given: nothing is guessed, nothing unknown let through."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Told(BaseModel):
    """A body that we answer with."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def answer(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(model.model_dump_json(), status, headers, media_type="application/json")


def download(content: str, media_type: str, name: str) -> Response:
    """Return a file to keep; `name` is ours, without quotation marks."""
    return Response(content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def described(
    model: type[BaseModel],
    *refusals: int,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    says: str = "As asked",
) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses=`: the model, its headers by name and meaning, and the refusals.

    A route that answers with several models joins several of these with `|`.
    """
    told: dict[str, Any] = {"model": model, "description": says}
    if headers:
        told["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in headers.items()
        }
    return {status: told, **problems(*refusals)}


def event_stream(*refusals: int) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses=` of an endpoint that answers with server-sent events alone."""
    told = {"description": "Events as they happen", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    return {200: told, **problems(*refusals)}


def problems(*refusals: int) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses=` for how an endpoint may refuse, beside what each may."""
    return problem_responses(*_ALWAYS, *refusals)
