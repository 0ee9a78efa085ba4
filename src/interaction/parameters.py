"""The parameters that endpoints share, each read strictly and described for the API's readers."""

import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, TypeVar

from fastapi import Header, Path, Query
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from core import ID_PATTERN, ApprovalId, ConversationId, DocumentId, FlagId, PrincipalId, RunId, new_id
from core.errors import NotFound
from data import TenantData, names_of

T = TypeVar("T", bound=str)

COLLECTION_PATTERN = r"^[a-z][a-z0-9_-]{0,63}$"

PLAIN_LINE = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
"""One line of text with something in it."""

_KIND = r"[a-z]{2,4}"
_ETAG = r'^"?[A-Za-z0-9._-]{1,128}"?$'


def no_such(thing: str) -> NotFound:
    """Return the one answer for what does not exist and for what is somebody else's."""
    return NotFound(
        f"There is no such {thing} for you. Check the id, and that you are signed in to the right organisation."
    )


def _pattern(prefix: str) -> str:
    assert ID_PATTERN.startswith(r"[a-z]{2,4}_")
    return f"^{prefix}{ID_PATTERN.removeprefix(_KIND)}$"


def _shaped(prefix: str, thing: str) -> Callable[[T], T]:
    shape = re.compile(_pattern(prefix)[1:-1])

    def check(value: T) -> T:
        if not shape.fullmatch(value):
            raise no_such(thing)
        return value

    return check


def _collection(value: str) -> str:
    if not re.fullmatch(COLLECTION_PATTERN[1:-1], value):
        raise no_such("collection")
    return value


def digits(value: object) -> object:
    # The validator would also take `1.0` and ` 1 `, which the description does not promise.
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,12}", value, re.ASCII):
        raise ValueError("give a whole number in digits")
    return value


def _day(value: object) -> object:
    """Validator: a date as `2026-11-23` only; a number would be taken for seconds."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value, re.ASCII):
        raise ValueError("give a day such as 2026-11-23")
    return value


def _bare(etag: str) -> str:
    """Return an ETag without its quotation marks, which many clients leave out."""
    return etag.strip('"')


def _flag(value: object) -> object:
    if isinstance(value, str) and value not in ("true", "false"):
        raise ValueError("give `true` or `false`")
    return value


_PASSAGE = f"{_pattern('(doc|src)')[:-1]}\\.[0-9]{{1,6}}$"


def _passage(value: str) -> str:
    if not re.fullmatch(_PASSAGE, value, re.ASCII):
        raise no_such("passage")
    return value


RunPath = Annotated[RunId, Path(json_schema_extra={"pattern": _pattern("run")}), AfterValidator(_shaped("run", "run"))]
ApprovalPath = Annotated[
    ApprovalId, Path(json_schema_extra={"pattern": _pattern("apr")}), AfterValidator(_shaped("apr", "approval"))
]
ConversationPath = Annotated[
    ConversationId,
    Path(json_schema_extra={"pattern": _pattern("cnv")}),
    AfterValidator(_shaped("cnv", "conversation")),
]
FlagPath = Annotated[
    FlagId, Path(json_schema_extra={"pattern": _pattern("flg")}), AfterValidator(_shaped("flg", "flag"))
]
DocumentPath = Annotated[
    DocumentId, Path(json_schema_extra={"pattern": _pattern("doc")}), AfterValidator(_shaped("doc", "document"))
]
PassagePath = Annotated[str, Path(json_schema_extra={"pattern": _PASSAGE}), AfterValidator(_passage)]
CollectionPath = Annotated[str, Path(json_schema_extra={"pattern": COLLECTION_PATTERN}), AfterValidator(_collection)]

PersonPath = Annotated[
    PrincipalId, Path(json_schema_extra={"pattern": _pattern("prn")}), AfterValidator(_shaped("prn", "member"))
]

ErasurePath = Annotated[
    str, Path(json_schema_extra={"pattern": _pattern("era")}), AfterValidator(_shaped("era", "erasure"))
]

HoldPath = Annotated[str, Path(json_schema_extra={"pattern": _pattern("hld")}), AfterValidator(_shaped("hld", "hold"))]

ResponsePath = Annotated[
    str, Path(json_schema_extra={"pattern": _pattern("resp")}), AfterValidator(_shaped("resp", "response"))
]

ConversationField = Annotated[ConversationId, StringConstraints(pattern=_pattern("cnv"))]
RunField = Annotated[RunId, StringConstraints(pattern=_pattern("run"))]
CollectionName = Annotated[str, StringConstraints(pattern=COLLECTION_PATTERN)]

Cursor = Annotated[
    Annotated[str, StringConstraints(max_length=1000)] | None,
    Query(description="What the page before gave as `cursor`."),
]
Limit = Annotated[
    int,
    Field(ge=1, le=100),
    BeforeValidator(digits),
    Query(description="A page holds so many at most, sometimes fewer."),
]
EventLimit = Annotated[int, Field(ge=1, le=1000), BeforeValidator(digits), Query(description="So many events at most.")]
After = Annotated[
    Annotated[int, Field(ge=0, le=10**12 - 1), BeforeValidator(digits)] | None,
    Query(description="Number of the last event you have."),
]
LastEventId = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}$")] | None,
    Header(alias="Last-Event-ID", description="As `after`; a browser sends it when it connects again."),
]
Day = Annotated[date, BeforeValidator(_day)]
Flag = Annotated[bool, BeforeValidator(_flag)]
IdempotencyKey = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None,
    Header(
        alias="Idempotency-Key",
        description="Your name for this request: sent again with the same key, it is done once.",
    ),
]
ConversationHeader = Annotated[
    Annotated[ConversationId, AfterValidator(_shaped("cnv", "conversation"))] | None,
    Header(
        alias="Mandate-Conversation",
        description="One of your conversations, to go on with it.",
        json_schema_extra={"pattern": _pattern("cnv")},
    ),
]
IfMatch = Annotated[
    Annotated[str, StringConstraints(pattern=_ETAG), AfterValidator(_bare)] | None,
    Header(alias="If-Match", description="The ETag that you read. Leave it out to create; then it must not exist."),
]


def conversation_id(value: str) -> ConversationId:
    """Return a conversation's id where it stands in a free text; raises `NotFound` if it does not have the form."""
    return _shaped("cnv", "conversation")(ConversationId(value))


def response_run(value: str) -> RunId:
    """Return the run of a response's id where that stands in a free text; raises `NotFound` as above."""
    return RunId(f"run_{_shaped('resp', 'response')(value).removeprefix('resp_')}")


async def run_for(data: TenantData, key: str | None) -> RunId:
    """Return the run's id: that of the first attempt where a key was sent, else a new one.

    It is derived under the tenant's own key: what somebody called their request is not to be guessed from it.
    """
    if key is None:
        return RunId(new_id("run"))
    # mandate: equal[key] - the key under which it is derived is the tenant's own
    return RunId((await names_of(data)).derived_id("run", data.context.tenant, data.context.principal.id, key))
