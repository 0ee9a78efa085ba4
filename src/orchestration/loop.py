"""The loop of a turn: look at the state, do the next thing, until the run ends or must wait for a person.

This file is the way of a turn. What comes next is decided in `next_step`; what may happen is decided by the gate;
what happened is in the log before anybody is told.
"""

import logging
from typing import assert_never

from core import Effect, parse_timestamp
from core.bodies import AnswerGiven, CancelRequested, ModelFinished, RunResumed
from core.errors import BudgetSpent, Conflict, MandateError, Unavailable
from core.parts import Citation, RunState
from data import Query
from guards import Place, Text
from orchestration import approvals
from orchestration.acting import act, give_up
from orchestration.conversation import parse_model_message, transcribe
from orchestration.grounds import grounds_of, markers_in
from orchestration.labelling import OWN_WORDS
from orchestration.model_call import call_model, recover, release
from orchestration.next_step import Act, CallModel, End, Next, Reply, Retrieve, Unknown, Wait, next_step
from orchestration.retrieval import Search, retrieve
from orchestration.showing import Withheld, may_stand
from orchestration.state import message_of
from orchestration.turn import Turn
from telemetry import log, span


async def carry_on(turn: Turn) -> None:
    """Take the run as far as it goes: to its end, or to where a person must decide.

    Whatever goes wrong ends the run in a named state. Two things do not: another writer who has taken the run over
    (then it is theirs), and a store that does not answer (then nothing can be written, and the driver comes back).
    """
    try:
        await turn.commit()  # that it was taken up, before anything else: of two processes that try, one does
        await _carry_on(turn)
        if turn.progress.ended:
            release(turn)
        await turn.services.budgets.flush(turn.data)  # before the end: nobody takes an ended run up to settle it
        await turn.commit()
    except (Conflict, Unavailable) as error:
        log(logging.WARNING, "A run was let go of", context=turn.context, code=error.code, run=turn.writer.run)
        return
    if (pending := turn.progress.pending) and pending.waiting:
        waiting, told = pending.waiting, pending.escalated or not pending.waiting.escalates_at
        until = parse_timestamp(waiting.expires_at if told else waiting.escalates_at)
        await turn.services.driver.schedule(turn.context.tenant, turn.writer.run, until)


async def _carry_on(turn: Turn) -> None:
    try:
        with span(
            "invoke_agent",
            turn.context,
            parent=turn.parent,
            operation="invoke_agent",
            agent=turn.agent.name,
            run=turn.writer.run,
        ):
            await recover(turn)
            while not (turn.progress.ended or turn.leaving) and await _advance(turn):
                pass
    except (Conflict, Unavailable):
        raise
    except BudgetSpent as error:
        turn.end(RunState.LIMIT_REACHED, error.code)
    except MandateError as error:
        turn.end(_broken(turn), error.code)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, the run ends in a named state
        log(logging.ERROR, "A run broke off", context=turn.context, error=error, run=turn.writer.run)
        turn.end(_broken(turn), "defect")


def _broken(turn: Turn) -> RunState:
    """Return how a run ends that cannot go on: inside an effect nobody can say whether it happened."""
    pending = turn.progress.pending
    inside = pending and pending.in_flight and turn.services.effect_of(pending.tool) is not Effect.READ
    return RunState.OUTCOME_UNKNOWN if inside else RunState.FAILED


async def _advance(turn: Turn) -> bool:
    """Do the next thing, and return whether there is more to do.

    Raises:
        Conflict: this process was away for so long that another may have taken the run over.
    """
    if not turn.lease.held:
        await turn.commit()  # what is known is told, unless there is another
        raise Conflict("This process lost its hold on the run.", code="run.lease")
    if turn.cancelled and not turn.progress.cancelled:
        turn.stage([CancelRequested(cause=turn.cancelled.cause)], actor=turn.cancelled.by)
    step = next_step(turn.progress, turn.services.clock.now(), turn.services.effect_of)
    return await _take(turn, step)


async def _take(turn: Turn, step: Next) -> bool:
    match step:
        case Retrieve():
            await _retrieve(turn)
        case CallModel():
            await call_model(turn, step.step)
        case Act():
            await act(turn, step.proposal)
        case Wait():
            return await _wait(turn, step)
        case Reply():
            await _reply(turn, step.model)
        case Unknown():
            await give_up(turn, step.proposal)
        case End():
            await _end(turn, step)
        case _:
            assert_never(step)
    return True


async def _end(turn: Turn, end: End) -> None:
    """End the run; an approval that it still waits for is closed behind what ended it."""
    if (pending := turn.progress.pending) and pending.waiting:
        await turn.commit()
        turn.stage(await approvals.supersede(turn.data, pending.waiting, pending))
    turn.end(end.state, end.code)


async def _retrieve(turn: Turn) -> None:
    question = (await turn.content(message_of(turn.progress))).decode()
    checked = await turn.watch.checked(turn.context, [Text(Place.MESSAGE, question)])
    search = Search(
        query=Query(question, await _collections(turn), turn.agent.retrieval.passages),
        deadline=turn.progress.deadline,
        situation=await turn.situation(OWN_WORDS, checked),
    )
    found = await retrieve(turn.services, turn.writer, await turn.scope(), search)
    turn.sync()
    if isinstance(found, tuple):
        turn.stage([found[0]], [found[1]])
    else:
        turn.end_refused(found.ends or "refused.retrieval")


async def _collections(turn: Turn) -> tuple[str, ...]:
    """Return what the agent may search for this organisation, in the order of its manifest."""
    scope = await turn.scope()
    return tuple(name for name in turn.agent.data.collections if name in scope.collections)


async def _wait(turn: Turn, wait: Wait) -> bool:
    """Take up what people have decided; otherwise leave the run parked, and on disk."""
    given, resolved = await approvals.settle(turn, wait.approval, wait.proposal)
    turn.stage(given)
    if resolved is None:
        turn.stage(approvals.escalated(turn, wait.approval, wait.proposal))
        await turn.commit()
        return False
    turn.stage([resolved, RunResumed(cause="approval", carrier=turn.lease.id)])
    return True


async def _reply(turn: Turn, model: ModelFinished) -> None:
    """The model proposed nothing more: its text is the answer, its markers are citations of what it was shown."""
    assert model.message is not None
    text, _ = parse_model_message(await turn.content(model.message))
    transcript = await transcribe(turn)
    found = {passage.number: passage for passage in transcript.passages}
    citations = tuple(
        Citation(marker=n, passage=found[n].passage, document=found[n].document)
        for n in dict.fromkeys(markers_in(text))
        if n in found
    )
    shown = {number: f"{passage.heading}: {passage.text}" for number, passage in found.items()}
    grounds = grounds_of(text, shown, [read.text for read in transcript.texts])
    try:
        await may_stand(turn, model, grounds, transcript)
    except Withheld as error:
        turn.end_refused(error.code)
        return
    if turn.held:
        turn.live.delta(text)
    turn.stage([AnswerGiven(message=model.message, citations=citations, label=model.label, grounds=grounds)])
    turn.end(RunState.COMPLETED)
