"""Responses, for programs that speak OpenAI's newer API."""

from fastapi import APIRouter, Response

from core import ConversationId, TenantContext
from core.errors import Unprocessable
from core.parts import RunKind
from interaction.answers import answer, described
from interaction.authority import Me, User
from interaction.dependencies import Deps, InteractionDependencies
from interaction.openai.answering import Opened, Teller, answered, opened, streamed, turn_of
from interaction.openai.errors import refusals
from interaction.openai.outcome import Outcome, outcome_of
from interaction.openai.prompts import agent_of, prompt_of
from interaction.openai.response_events import ResponseEvents
from interaction.openai.responses import NewResponse, ResponseTold, begun_response, response_of
from interaction.parameters import IdempotencyKey, ResponsePath, no_such, response_run, run_for
from interaction.reading import own_run, readable_run
from interaction.relay import EVENT_STREAM
from interaction.routes.openai_chat import STARTED
from orchestration import fetcher, fold

router = APIRouter(prefix="/openai/v1/responses", tags=["openai"])

_ANSWERS = {**described(ResponseTold, headers=STARTED), **refusals(402, 404, 409, 413, 415, 422, 504)}
_ANSWERS[200]["content"] = {EVENT_STREAM: {"schema": {"type": "string"}}}


@router.post("", responses=_ANSWERS)
async def create_response(body: NewResponse, me: User, deps: Deps, key: IdempotencyKey = None) -> Response:
    """Ask an agent as if it were a model. Roles: user, approver, admin, owner.

    To go on in a stored conversation of yours, send `previous_response_id` or `conversation`.
    """
    agent = agent_of(deps, body.model)
    prompt = prompt_of(agent, body.turns(), await _conversation(deps, me, body))
    turn = turn_of(prompt, await run_for(deps.store.tenant(me), key))
    if body.stream:
        return await streamed(deps, me, turn, _teller)
    begun, outcome = await answered(deps, me, turn)
    return answer(response_of(outcome, begun.previous), headers=begun.headers)


@router.get("/{response}", responses={**described(ResponseTold), **refusals(404)})
async def read_response(response: ResponsePath, me: Me, deps: Deps) -> Response:
    """Read a response as it is now, such as after a colleague's decision. Who may read the run."""
    run = response_run(response)
    events = await readable_run(deps.store, me, run)
    if fold(events).run.kind is not RunKind.TURN:
        raise no_such("response")
    outcome = await outcome_of(deps, me, events, fetcher(deps.store.tenant(me)))
    return answer(response_of(outcome, (await opened(deps, me, run)).previous))


async def _conversation(deps: InteractionDependencies, me: TenantContext, body: NewResponse) -> ConversationId | None:
    """Return the stored conversation that the turn goes on in.

    Raises:
        NotFound: the response before is not the caller's.
        Unprocessable: both ways of naming it are used (`openai.conversation`).
    """
    if body.previous_response_id is None:
        return body.named
    if body.named:
        raise Unprocessable(
            "Send `previous_response_id` or `conversation`, not both: either names the conversation.",
            code="openai.conversation",
        )
    run = response_run(body.previous_response_id)
    await own_run(deps.store, me, run)
    conversation = (await opened(deps, me, run)).conversation
    if conversation is None:
        raise no_such("response")
    return conversation


def _teller(begun: Opened) -> Teller:
    response = begun_response(
        begun.run,
        created=begun.created,
        model=begun.agent,
        conversation=begun.conversation,
        previous=begun.previous,
    )
    events = ResponseEvents(begun.run, response)

    def end(outcome: Outcome, text: str) -> bytes:
        return events.end(response_of(outcome, begun.previous, text))

    return Teller(begin=events.begin, piece=events.piece, end=end, failed=events.failed)
