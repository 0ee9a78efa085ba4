"""Chat completions, and the agents as models, for programs that speak OpenAI's API."""

from typing import Literal

from fastapi import APIRouter, Response

from core import ConversationId
from interaction.answers import Told, answer, described
from interaction.authority import Me, User
from interaction.dependencies import Deps
from interaction.openai.answering import Opened, Teller, answered, streamed, turn_of
from interaction.openai.chat import Chat, Chunks, NewChat, chat_of
from interaction.openai.errors import error_event, refusals
from interaction.openai.prompts import agent_of, prompt_of
from interaction.parameters import ConversationHeader, IdempotencyKey, conversation_id, run_for
from interaction.relay import EVENT_STREAM

router = APIRouter(prefix="/openai/v1", tags=["openai"])

STARTED = {
    "Location": "Where the run can be read.",
    "Mandate-Run": "Its id.",
    "Mandate-Conversation": "The stored conversation that it is a turn of.",
}


class ModelTold(Told):
    """An agent. The register does not say since when it is there, so `created` is 0."""

    id: str
    object: Literal["model"] = "model"
    created: Literal[0] = 0
    owned_by: str


class ModelList(Told):
    object: Literal["list"] = "list"
    data: list[ModelTold]


_ANSWERS = {**described(Chat, headers=STARTED), **refusals(402, 404, 409, 413, 415, 422, 504)}
_ANSWERS[200]["content"] = {EVENT_STREAM: {"schema": {"type": "string"}}}


@router.post("/chat/completions", responses=_ANSWERS)
async def create_chat_completion(
    body: NewChat, me: User, deps: Deps, conversation: ConversationHeader = None, key: IdempotencyKey = None
) -> Response:
    """Ask an agent as if it were a model. Roles: user, approver, admin, owner.

    To go on in a stored conversation of yours, name it in the header or as `metadata.conversation`.
    """
    named = conversation or _named(body)
    prompt = prompt_of(agent_of(deps, body.model), body.turns(), named)
    turn = turn_of(prompt, await run_for(deps.store.tenant(me), key))
    if body.stream:
        return await streamed(deps, me, turn, lambda opened: _teller(opened, usage=body.wants_usage))
    opened, outcome = await answered(deps, me, turn)
    return answer(chat_of(outcome), headers=opened.headers)


@router.get("/models", responses={**described(ModelList), **refusals()})
async def list_models(_: Me, deps: Deps) -> Response:
    """List the agents that you can talk to, as models. Any member."""
    models = [ModelTold(id=agent.name, owned_by="mandate") for agent in deps.agents.values()]
    return answer(ModelList(data=models))


@router.get("/models/{model}", responses={**described(ModelTold), **refusals(404)})
async def read_model(model: str, _: Me, deps: Deps) -> Response:
    """Read whether there is an agent of this name. Any member."""
    return answer(ModelTold(id=agent_of(deps, model), owned_by="mandate"))


def _named(body: NewChat) -> ConversationId | None:
    given = (body.metadata or {}).get("conversation")
    return conversation_id(given) if given is not None else None


def _teller(opened: Opened, *, usage: bool) -> Teller:
    chunks = Chunks(opened.run, opened.created, opened.agent)
    return Teller(
        begin=chunks.begin,
        piece=chunks.piece,
        end=lambda outcome, text: chunks.end(outcome, text, usage=usage),
        failed=error_event,
    )
