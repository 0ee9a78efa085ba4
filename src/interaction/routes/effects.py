"""What a run has done, and taking it back."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Response
from pydantic import BeforeValidator, Field, StringConstraints

from core import RunId, TenantContext
from data import read_run
from interaction.answers import Given, answer, described
from interaction.authority import Me, User
from interaction.dependencies import Deps, InteractionDependencies
from interaction.effects import EffectList, effects_told
from interaction.parameters import RunPath, digits, no_such
from interaction.people import names_in
from interaction.reading import readable_run
from interaction.run_view import RunView, view_run
from interaction.starting import LONGEST_WAIT
from orchestration import fetcher, may_undo

router = APIRouter(prefix="/v1/runs/{run}/effects", tags=["runs"])

EffectPath = Annotated[int, Field(ge=1, le=10**9), BeforeValidator(digits), Path(description="`seq` of the effect.")]


class UndoReason(Given):
    """Why it is to be taken back. Whoever has to approve it reads it."""

    reason: Annotated[str, StringConstraints(min_length=3, max_length=500, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")] = (
        Field(examples=["It was the wrong order."])
    )


@router.get("", responses=described(EffectList, 404))
async def list_effects(run: RunPath, me: Me, deps: Deps) -> Response:
    """List what a run has done, and whether it can be taken back. Who may read the run."""
    events, data = await readable_run(deps.store, me, run), deps.store.tenant(me)
    return answer(EffectList(items=await effects_told(events, data, fetcher(data), deps.registry)))


@router.post(
    "/{seq}/undo",
    status_code=201,
    responses=described(
        RunView,
        404,
        409,
        413,
        415,
        422,
        504,
        status=201,
        says="The run that takes it back",
        headers={"Location": "The run."},
    ),
)
async def undo_effect(run: RunPath, seq: EffectPath, body: UndoReason, me: User, deps: Deps) -> Response:
    """Have an effect taken back. Who asked for the run; admins and the owner.

    It is done by a run of its own, without a model, which the rules decide on as on any other: it may wait for a
    colleague. An effect is taken back once. The answer comes when that run has ended or waits; its state says which.
    """
    data, undoing = deps.store.tenant(me), await undone(me, deps, run, seq, body.reason)
    events = await read_run(data, undoing)
    told = await view_run(events, fetcher(data), names_in(data), me)
    return answer(told, 201, headers={"Location": f"/v1/runs/{undoing}"})


async def undone(me: TenantContext, deps: InteractionDependencies, run: RunId, seq: int, reason: str) -> RunId:
    """Have an effect taken back, and return the run that does, once it has ended or waits for a person.

    Raises:
        NotFound: there is no such run or effect, or it is not theirs to take back.
        Conflict: it cannot be taken back, or somebody does or has.
    """
    if not may_undo(me, await readable_run(deps.store, me, run)):
        raise no_such("run")
    payload, deadline = orjson.dumps({"reason": reason}), deps.clock.now() + LONGEST_WAIT
    path = f"/internal/runs/{run}/effects/{seq}/undo"
    found = await deps.orchestration.call(me, "POST", path, body=payload, deadline=deadline)
    return RunId(orjson.loads(found)["run"])
