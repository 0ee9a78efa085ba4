"""The log as evidence: everything in the order of the checkpoints, for a SIEM; and every decision, by what is asked."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import JsonValue, StringConstraints, TypeAdapter

from core import DocumentId, Json, PrincipalId
from core.errors import BadRequest, Defect, NotFound
from core.events import Stored
from data import (
    APPROVALS,
    RUNS,
    USES,
    ApprovalSummary,
    Change,
    Page,
    Row,
    TenantData,
    Views,
    decode_cursor,
    encode_cursor,
    period,
    read_checkpoint,
    read_run,
)
from interaction.answers import Told, answer, described
from interaction.authority import Overseer
from interaction.dependencies import Deps
from interaction.evidence_lines import DecisionLine, decision_lines
from interaction.ocsf import ocsf_of
from interaction.paging import chosen_page
from interaction.parameters import Cursor, Day, EventLimit, Limit
from interaction.routes.runs import lag

router = APIRouter(prefix="/v1/evidence", tags=["evidence"])

Person = Annotated[PrincipalId, StringConstraints(pattern=r"^prn_[0-9a-z]{26}$")]
Document = Annotated[DocumentId, StringConstraints(pattern=r"^doc_[0-9a-z]{26}$")]
Policy = Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}/[A-Za-z0-9._-]{1,200}$")]


_JSON: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


class CoveredEvent(Told):
    """An event as the log has it: ids, words of ours, numbers, commitments; no content.

    Attributes:
        checkpoint: number of the first that covers it.
    """

    checkpoint: int
    hash: str
    event: dict[str, JsonValue]


class CoveredEvents(Told):
    """Events in the order of the checkpoints that cover them, each once.

    Attributes:
        items: with `format=ocsf` each is an OCSF event instead.
        cursor: where to go on, now or later.
        more: there is more already.
    """

    items: list[CoveredEvent | dict[str, JsonValue]]
    cursor: str
    more: bool


class DecisionPage(Told):
    """Decisions, those of the latest runs first. While there is a `cursor` there may be more, behind an empty page too.

    Attributes:
        lag: how many events the list of runs is behind the log.
    """

    items: list[DecisionLine]
    cursor: str | None
    lag: int


@router.get("/events", responses=described(CoveredEvents, 422))
async def read_covered(
    me: Overseer,
    deps: Deps,
    *,
    form: Annotated[Literal["json", "ocsf"], Query(alias="format", description="As they are, or as OCSF.")] = "json",
    cursor: Cursor = None,
    limit: EventLimit = 500,
) -> Response:
    """Read all events that checkpoints cover, from the oldest on or from a cursor. Roles: owner, admin, auditor.

    For a SIEM: ask again with the last `cursor` later, and nothing is missed or told twice. What was appended since the
    last checkpoint comes with the next one. A run that is not as it was written is left out: verify the evidence.
    """
    data = deps.store.tenant(me)
    place, items = _place(cursor), list[CoveredEvent | dict[str, JsonValue]]()
    while len(items) < limit and (record := await read_checkpoint(data, place[0])):
        if place[1] >= len(record.changes):
            place = (place[0] + 1, 0, 0)
            continue
        change = record.changes[place[1]]
        after = max(place[2], change.before)
        events = await _readable(data, change)
        some = events[after : min(change.seq, after + limit - len(items))]
        items += [_told(stored, events, place[0], form) for stored in some]
        reached = after + len(some)
        place = (place[0], place[1], reached) if some and reached < change.seq else (place[0], place[1] + 1, 0)
    more = await read_checkpoint(data, place[0]) is not None
    return answer(CoveredEvents(items=items, cursor=encode_cursor(*map(str, place)), more=more))


@router.get("/decisions", responses=described(DecisionPage, 422))
async def find_decisions(
    me: Overseer,
    deps: Deps,
    *,
    person: Annotated[Person | None, Query(description="On whose behalf.")] = None,
    document: Annotated[Document | None, Query(description="Whose passages the run had been shown.")] = None,
    policy: Annotated[Policy | None, Query(description="That determined it, such as `publisher/ask-a-person`.")] = None,
    approver: Annotated[Person | None, Query(description="Who decided the approval that it asked for.")] = None,
    first: Annotated[Day | None, Query(alias="from", description="First day (UTC).")] = None,
    last: Annotated[Day | None, Query(alias="to", description="Last day (UTC), included.")] = None,
    cursor: Cursor = None,
    limit: Limit = 25,
) -> Response:
    """Find decisions by person, document, policy or approver, without content. Roles: owner, admin, auditor.

    Each line says who began it and on whose behalf, under which identity and scope, with which documents, what was
    decided, by which policies and why, who approved, and what came of it. `limit` is how many runs are looked at.
    """
    data = deps.store.tenant(me)
    read = _rows(data.views, person, document, approver, _days(first, last))

    def is_asked(line: DecisionLine, row: Row) -> bool:
        return bool(
            person in (None, line.person)
            and (document is None or document in line.documents)
            and (policy is None or policy in line.policies)
            and (approver is None or (approver == line.approver and (document or row.key == line.approval)))
        )

    async def choose(row: Row) -> list[DecisionLine] | None:
        try:
            return [line for line in decision_lines(await read_run(data, row.run)) if is_asked(line, row)] or None
        except (Defect, NotFound):
            return None  # it is not as it was written, or gone: the verification says so

    page = await chosen_page(read, choose, cursor=cursor, limit=limit)
    lines = [line for lines in page.items for line in lines]
    return answer(DecisionPage(items=lines, cursor=page.cursor, lag=await lag(deps)))


def _rows(
    views: Views, person: str | None, document: str | None, approver: str | None, days: tuple[str, str | None]
) -> Callable[[str | None, int], Awaitable[Page[Row]]]:
    """Return what reads the runs in question, each once: by the view that narrows them down the most."""

    async def read(cursor: str | None, limit: int) -> Page[Row]:
        since, until = days
        if document:
            return await views.list(
                USES.view, owner=person, states=[document], since=since, until=until, cursor=cursor, limit=limit
            )
        if approver:
            page = await views.list(
                APPROVALS.view,
                owner=person,
                states=["approved", "denied"],
                since=since,
                until=until,
                cursor=cursor,
                limit=limit,
            )
            return Page([row for row in page.items if _approver(row) == approver], page.cursor)
        return await views.list(RUNS.view, owner=person, since=since, until=until, cursor=cursor, limit=limit)

    return read


def _approver(row: Row) -> str | None:
    approver = ApprovalSummary.model_validate_json(row.body).approver
    return approver.id if approver else None


def _days(first: Day | None, last: Day | None) -> tuple[str, str | None]:
    since = period(first, first)[0] if first else ""
    return since, period(last, last)[1] if last else None


async def _readable(data: TenantData, change: Change) -> Sequence[Stored]:
    try:
        return await read_run(data, change.run)
    except (Defect, NotFound):
        return ()


def _told(
    stored: Stored, events: Sequence[Stored], checkpoint: int, form: Literal["json", "ocsf"]
) -> CoveredEvent | dict[str, JsonValue]:
    if form == "ocsf":
        return _json(ocsf_of(stored, events))
    return CoveredEvent(checkpoint=checkpoint, hash=stored.hash, event=_json(stored.event.model_dump(mode="json")))


def _json(value: dict[str, Json]) -> dict[str, JsonValue]:
    return _JSON.validate_python(value)


def _place(cursor: str | None) -> tuple[int, int, int]:
    """Return from where to go on: number of a checkpoint, place in its list, number of the run's last event."""
    if cursor is None:
        return 1, 0, 0
    parts = decode_cursor(cursor, 3)
    if not all(part.isdecimal() for part in parts):
        raise BadRequest("This cursor is not one that a list gave; start again without it.", code="request.cursor")
    number, index, seq = map(int, parts)
    return number, index, seq
