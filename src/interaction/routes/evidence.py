"""Evidence of the whole organisation: its checkpoints, the keys that sign them, and whether they hold."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BeforeValidator, Field

from control import contexts
from core import RunId, TenantContext
from core.errors import BadRequest
from data import (
    Checkpoint,
    CheckpointRecord,
    Keys,
    PublicKey,
    RawEvent,
    Signed,
    TenantData,
    decode_cursor,
    encode_cursor,
    evidence_keys,
    latest_number,
    one_change,
    one_checkpoint,
    read_checkpoint,
)
from interaction.answers import Told, answer, described
from interaction.authority import Me, Overseer
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import Cursor, Limit, digits, no_such

router = APIRouter(prefix="/v1/evidence", tags=["evidence"])

AT_ONCE = 20
"""Runs that are looked at side by side."""

Number = Annotated[int, Field(ge=1, le=10**9), BeforeValidator(digits), Path(description="Of the checkpoint.")]


class CheckpointView(Told):
    """A checkpoint.

    Attributes:
        runs: how many runs it covers, with so many `events`; `changed` of them anew.
        root: of the Merkle tree over the heads of them all.
        hash: of what is signed; the next one names it as `previous`.
        signed: what is signed, by whom, and the signature.
    """

    number: int
    at: str
    runs: int
    events: int
    changed: int
    root: str
    previous: str
    hash: str
    signed: Signed


class CheckpointPage(Told):
    """The latest first."""

    items: list[CheckpointView]
    cursor: str | None


class KeySet(Told):
    """The public keys that evidence is signed with, as JSON Web Keys. Note them: whoever forges evidence has others."""

    keys: list[PublicKey]


class CheckpointVerification(Told):
    """Whether a checkpoint holds, checked now: its signature, what it follows, and each run that it covers anew.

    Attributes:
        broken: what does not hold, in plain words, the first first.
        runs: how many of its runs were looked at.
    """

    number: int
    ok: bool
    runs: int
    broken: list[str]


@router.get("/keys", responses=described(KeySet))
async def read_keys(_: Me, deps: Deps) -> Response:
    """Read the public keys that evidence is signed with: note them, and give them when you verify. Any member."""
    return answer(KeySet(keys=await known_keys(deps)))


async def known_keys(deps: InteractionDependencies) -> list[PublicKey]:
    return await evidence_keys(deps.store.tenant(contexts.publisher("evidence")).records)


@router.get("/checkpoints", responses=described(CheckpointPage, 422))
async def list_checkpoints(me: Overseer, deps: Deps, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """List the checkpoints of the organisation's evidence. Roles: owner, admin, auditor."""
    return answer(await checkpoints_page(me, deps, cursor=cursor, limit=limit))


async def checkpoints_page(
    me: TenantContext, deps: InteractionDependencies, *, cursor: str | None, limit: int
) -> CheckpointPage:
    """Return a page of checkpoints; what is not as it was written ends it, and the verification says what that is."""
    data = deps.store.tenant(me)
    last = _number_before(cursor) if cursor else await latest_number(data)
    numbers = range(last, max(0, last - limit), -1)
    found = await asyncio.gather(*(read_checkpoint(data, number) for number in numbers))
    items = [_view(record) for record in found if record]
    return CheckpointPage(items=items, cursor=encode_cursor(str(numbers[-1] - 1)) if last > limit else None)


@router.get("/checkpoints/{number}/verification", responses=described(CheckpointVerification, 404, 422))
async def verify_checkpoint(number: Number, me: Overseer, deps: Deps) -> Response:
    """Check a checkpoint now, and each run that it covers anew. Roles: owner, admin, auditor.

    The whole chain, and that no run is missing, is checked by `mandate evidence verify`, from an archive without us.
    """
    return answer(await verified_checkpoint(me, deps, number))


async def verified_checkpoint(me: TenantContext, deps: InteractionDependencies, number: int) -> CheckpointVerification:
    """Check one checkpoint; raises `NotFound` if there is none of this number."""
    data = deps.store.tenant(me)
    record, before = await read_checkpoint(data, number), await read_checkpoint(data, number - 1)
    if record is None:
        raise no_such("checkpoint")
    keys = Keys({key.kid: key for key in await known_keys(deps)})
    signed_before = before.signed if before else None
    broken = [*one_checkpoint(me.tenant, signed_before, number, record.signed, record.changes, keys)]
    for start in range(0, len(record.changes), AT_ONCE):
        some = record.changes[start : start + AT_ONCE]
        there = await asyncio.gather(*(_event(data, change.run, change.seq) for change in some))
        for change, events in zip(some, there, strict=True):
            broken += one_change(change, events)
    return CheckpointVerification(number=number, ok=not broken, runs=len(record.changes), broken=broken)


async def _event(data: TenantData, run: RunId, seq: int) -> Sequence[RawEvent]:
    found = await data.log.raw(run, after=seq - 1, limit=1)
    return found if found and found[0].seq == seq else ()


def _number_before(cursor: str) -> int:
    (number,) = decode_cursor(cursor, 1)
    if not number.isdecimal():
        raise BadRequest("This cursor is not one that a list gave; start again without it.", code="request.cursor")
    return int(number)


def _view(record: CheckpointRecord) -> CheckpointView:
    told = Checkpoint.model_validate_json(record.signed.statement)
    return CheckpointView(
        number=told.number,
        at=told.at,
        runs=told.runs,
        events=told.events,
        changed=len(record.changes),
        root=told.root,
        previous=told.previous,
        hash=record.signed.hash,
        signed=record.signed,
    )
