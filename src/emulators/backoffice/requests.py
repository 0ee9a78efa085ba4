"""What the back office accepts, and the reading of it."""

import asyncio
import re
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from core.errors import BadRequest, Timeout, TooLarge, Unauthenticated
from emulators.backoffice.ledger import Origin
from emulators.backoffice.seed import Email, Id

_LARGEST_BODY = 256 * 1024
_READ_TIMEOUT = 30.0
_HEADER_VALUE = re.compile(r"[\x21-\x7e]{1,200}")
_LONGEST_STALL = 600

Line = Annotated[str, Field(min_length=1, max_length=500)]
Text = Annotated[str, Field(min_length=1, max_length=20_000)]

Model = TypeVar("Model", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class NewTicket(_Body):
    customer: Id | None = None
    order: Id | None = None
    subject: Line
    body: Text


class NewRefund(_Body):
    order: Id
    amount_cents: Annotated[int, Field(ge=1)]
    reason: Text


class NewEmail(_Body):
    to: Email
    subject: Line
    body: Text


class Fault(_Body):
    """What shall go wrong with calls of tenants.

    Attributes:
        stall_before: seconds to wait before anything is done.
        stall_after: seconds to wait after it was done and before the answer.
        status: answer with this instead of doing anything.
        drop: do it, then cut the connection before the answer's body.
    """

    stall_before: Annotated[float, Field(ge=0, le=_LONGEST_STALL)] = 0.0
    stall_after: Annotated[float, Field(ge=0, le=_LONGEST_STALL)] = 0.0
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    drop: bool = False


def parse(model: type[Model], data: bytes) -> Model:
    """Validate JSON against `model`.

    Raises:
        BadRequest: it does not fit; the message names the first place, never the value.
    """
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "body"
        raise BadRequest(f"{place}: {first['msg']}.") from None


async def read(request: Request) -> bytes:
    """Return the body of at most 256 KiB.

    Raises:
        TooLarge: it is larger.
        Timeout: it takes longer than 30 s to arrive.
    """
    data = bytearray()
    try:
        async with asyncio.timeout(_READ_TIMEOUT):
            async for part in request.stream():
                data += part
                if len(data) > _LARGEST_BODY:
                    raise TooLarge(f"A request may have {_LARGEST_BODY} bytes at most.")
    except TimeoutError:
        raise Timeout(f"The request's body took longer than {_READ_TIMEOUT:.0f} s to arrive.") from None
    return bytes(data)


def bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send an access token for the back office in the header Authorization, as Bearer.")
    return token


def origin(request: Request) -> Origin:
    """Read the headers that say where a write comes from; both may be absent."""
    return Origin(idempotency_key=_header(request, "idempotency-key"), run=_header(request, "x-mandate-run"))


def _header(request: Request, name: str) -> str | None:
    value = request.headers.get(name)
    if value is not None and not _HEADER_VALUE.fullmatch(value):
        raise BadRequest(f"The header {name} takes 1 to 200 visible ASCII characters.")
    return value
