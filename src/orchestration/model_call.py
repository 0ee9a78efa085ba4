"""One model call: budget reserved, decided, streamed, and written down whatever became of it."""

import asyncio
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from control import ActionRequest, Granted, Refused, Situation, Verdict
from core import ActionKind, Content, ContentClass, Label, Permit
from core.bodies import ModelFinished
from core.errors import Defect, MandateError
from core.parts import Proposal, Usage
from models import ChatRequest, ChatResult, ModelInterrupted, TextDelta, ToolOffer
from orchestration.conversation import model_message, transcribe
from orchestration.showing import Showing, Withheld, is_held
from orchestration.turn import Turn
from telemetry import span


@dataclass(frozen=True, slots=True)
class _Call:
    """A model call of a turn: what is asked, the label of all that is in it, and the most that it can cost.

    Attributes:
        own_words: what the person wrote in this turn.
        features: of the organisation, by which its model is chosen.
    """

    step: int
    request: ChatRequest
    label: Label
    own_words: str
    situation: Situation
    price: int
    budget_key: str
    features: Collection[str]


async def call_model(turn: Turn, step: int) -> None:
    """Call the model for `step` and stage the outcome; the next decision's append, or the run's end, commits it.

    Raises:
        BudgetSpent: the tenant has nothing left to reserve.
    """
    call = await _prepare(turn, step)
    verdict = await _decided(turn, call)
    if isinstance(verdict, Granted):
        turn.within = verdict.agent
        finished, content = await _outcome(turn, call, verdict.permit)
        turn.stage([finished], content)
        turn.services.budgets.settle_later(turn.data, call.budget_key, finished.usage.cost_micros)
        if finished.error.startswith(("refused.", "limit.")):
            turn.end_refused(finished.error)
    else:
        turn.end_refused((isinstance(verdict, Refused) and verdict.ends) or "refused.model_call")


async def recover(turn: Turn) -> None:
    """Make good what a crash left open: a call cut short is written off, calls that ended are settled.

    A call that was under way had no effect outside, but its tokens may have been spent: it is charged as reserved.
    """
    for number, finished in enumerate(turn.progress.model_calls):
        turn.services.budgets.settle_later(turn.data, _budget_key(turn, number), finished.usage.cost_micros)
    if decision := turn.progress.model_in_flight:
        call = await _prepare(turn, decision.step)
        turn.stage([_unanswered(call, "interrupted", "run.restarted", Usage(cost_micros=call.price))])
        turn.services.budgets.settle_later(turn.data, call.budget_key, call.price)


def release(turn: Turn) -> None:
    """Free what was set aside for a call that never came: it was refused, or a crash came between and then the end."""
    turn.services.budgets.settle_later(turn.data, _budget_key(turn, len(turn.progress.model_calls)), 0)


async def _decided(turn: Turn, call: _Call) -> Verdict:
    """Decide and reserve side by side, so that one write has both on disk; the permit is used only if both are."""
    gate, action = turn.services.gate, _action(call)
    verdicts, reserved = await asyncio.gather(
        gate.authorize(turn.writer, turn.actor, [action], situation=call.situation),
        turn.services.budgets.reserve(turn.data, call.budget_key, call.price),
        return_exceptions=True,  # neither may be cut off in the middle of its write because the other failed
    )
    turn.sync()
    if isinstance(verdicts, BaseException):
        raise verdicts
    if isinstance(reserved, BaseException):
        raise reserved
    return verdicts[0]


async def _prepare(turn: Turn, step: int) -> _Call:
    transcript = await transcribe(turn)
    offers = turn.services.registry.offers(await _tools(turn))
    request = ChatRequest(
        logical=turn.agent.model,
        messages=tuple(transcript.messages),
        tools=tuple(ToolOffer(offer.name, offer.description, offer.parameters) for offer in offers),
        max_output_tokens=turn.agent.limits.output_tokens,
    )
    features = await turn.services.features(turn.writer.data)
    price = turn.services.models.price(
        request.logical,
        turn.context.plan,
        turn.context.region,
        request.estimated_tokens,
        request.max_output_tokens,
        features,
    )
    key, label = _budget_key(turn, len(turn.progress.model_calls)), transcript.sources.label
    situation = await turn.situation(label, await turn.watch.checked(turn.context, transcript.texts))
    return _Call(step, request, label, transcript.sources.own_words[-1], situation, price, key, features)


async def _tools(turn: Turn) -> list[str]:
    """Return the tools that the agent may call for this organisation, in the order of its manifest."""
    scope, services = await turn.scope(), turn.services
    given = [name for name in turn.agent.tools if name in scope.tools]
    # What is not registered is a defect, which the registry tells.
    return [name for name in given if (effect := services.effect_of(name)) is None or effect in scope.effects]


def _budget_key(turn: Turn, number: int) -> str:
    """Return under what money is set aside for the run's model call `number`, from 0."""
    return f"{turn.writer.run}/{number}"


def _action(call: _Call) -> ActionRequest:
    return ActionRequest(
        kind=ActionKind.CALL_MODEL,
        target=call.request.logical,
        step=call.step,
        arguments=call.request.fingerprint(),
        facts={},
    )


async def _outcome(turn: Turn, call: _Call, permit: Permit) -> tuple[ModelFinished, list[Content]]:
    """Return how the call ended. Cut short by us (cancelled, out of time) it is charged as reserved."""
    try:
        with span("chat", turn.context, span_kind="client", operation="chat", request_model=call.request.logical) as sp:
            async with asyncio.timeout(turn.seconds_left) as turn.interrupt:
                result = await _consume(turn, call, permit)
            sp.set(
                response_model=result.target,
                finish_reason=result.finish,
                input_tokens=result.input_tokens,
                output_tokens=result.output_tokens,
                step=call.step,
            )
    except TimeoutError:
        return _unanswered(call, "interrupted", "model.interrupted", Usage(cost_micros=call.price)), []
    except Withheld as error:
        return _unanswered(call, "interrupted", error.code, Usage(cost_micros=call.price)), []
    except ModelInterrupted as error:
        spent = Usage(input_tokens=error.input_tokens, output_tokens=error.output_tokens, cost_micros=error.cost_micros)
        return _unanswered(call, "interrupted", error.code, spent), []
    except MandateError as error:
        return _unanswered(call, "failed", error.code, Usage()), []
    finally:
        turn.interrupt = None
    content = turn.new_content(model_message(result.text, result.tool_calls), ContentClass.ANSWER)
    return _answered(turn, call, result, content), [content]


async def _consume(turn: Turn, call: _Call, permit: Permit) -> ChatResult:
    """Show the text as it comes, and return the finished message; raises `Withheld` where it may not be shown."""
    context, request = turn.context, call.request
    turn.held = await is_held(turn)
    showing = Showing(turn, call.step, request.logical, call.own_words, call.situation, held=turn.held)
    stream = turn.services.models.chat(
        permit,
        request,
        plan=context.plan,
        region=context.region,
        features=call.features,
        deadline=turn.progress.deadline,
    )
    async with aclosing(stream):
        async for item in stream:
            if isinstance(item, TextDelta):
                await showing.piece(item.text)
            else:
                await showing.end(item.text)
                return item
    raise Defect("A model's stream ended without a result.", code="defect.model_adapter")


def _answered(turn: Turn, call: _Call, result: ChatResult, content: Content) -> ModelFinished:
    known = turn.services.registry
    return ModelFinished(
        step=call.step,
        outcome="answered",
        logical=call.request.logical,
        target=result.target,
        version=result.version,
        prompt=turn.agent.system.sha256,
        message=content.ref,
        proposals=tuple(
            Proposal(call=number, tool=proposed.name if known.get(proposed.name) else "unknown")
            for number, proposed in enumerate(result.tool_calls)
        ),
        label=call.label,
        usage=Usage(
            input_tokens=result.input_tokens,
            output_tokens=result.output_tokens,
            cost_micros=result.cost_micros,
            model_calls=1,
        ),
        attempts=result.attempts,
        first_token_ms=result.first_token_ms,
        duration_ms=result.duration_ms,
    )


def _unanswered(call: _Call, outcome: Literal["interrupted", "failed"], error: str, spent: Usage) -> ModelFinished:
    return ModelFinished(
        step=call.step,
        outcome=outcome,
        logical=call.request.logical,
        label=call.label,
        usage=spent.plus(Usage(model_calls=1)),
        error=error,
    )
