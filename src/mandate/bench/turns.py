"""What is asked: turns of the demo companies' people over the public API, and the same model call without Mandate."""

import itertools
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
import yaml

from core import Role
from core.parts import RunState
from mandate.bench.load import Request
from mandate.client import Client
from mandate.local.world import Company
from models import ChatRequest

TURNS = ("one_step_turn", "two_step_turn", "rag_turn")

_ENDED = b"event: run_ended\n"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody signed in, and what their company lets them ask about."""

    token: str
    orders: tuple[str, ...]
    questions: tuple[str, ...]


async def sign_in(session: aiohttp.ClientSession, url: str, companies: Sequence[Company]) -> list[Person]:
    """Sign in everybody who may ask an agent, the companies in turn; one person alone would be held to their rate."""
    people = [[await _person(session, url, company, name) for name in _askers(company)] for company in companies]
    return [person for group in itertools.zip_longest(*people) for person in group if person]


def _askers(company: Company) -> list[str]:
    return [user.username for user in company.about.users if Role.USER in user.roles]


async def _person(session: aiohttp.ClientSession, url: str, company: Company, username: str) -> Person:
    client = await Client.signed_in(session, url, company.about.entra_tenant_id, username)
    orders = yaml.safe_load((company.folder / "backoffice.yaml").read_text())["orders"]
    asked = [item["question"] for item in yaml.safe_load((company.folder / "questions.yaml").read_text())]
    # What has a number in it may look like an order to the stand-in, which would then look that up first.
    questions = tuple(question for question in asked if not any(map(str.isdigit, question)))
    return Person(client.token, tuple(order["id"] for order in orders), questions)


@dataclass(slots=True)
class Turns:
    """Makes requests, no two alike: each has a number of its own in its message, and an idempotency key."""

    url: str
    people: Sequence[Person]
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def maker(self, name: str) -> Callable[[], Request]:
        """Return what makes the requests of the turn `name`, one of `TURNS`."""
        return {"one_step_turn": self._one_step, "two_step_turn": self._two_steps, "rag_turn": self._rag}[name]

    def _one_step(self) -> Request:
        number, person = self._next()
        return self._request(person, f"Hello, this is visitor {number}.", model_calls=1)

    def _two_steps(self) -> Request:
        number, person = self._next()
        order = person.orders[number // len(self.people) % len(person.orders)]
        return self._request(person, f"Look up order {order} for caller {number}.", model_calls=2, tool_calls=1)

    def _rag(self) -> Request:
        number, person = self._next()
        question = person.questions[number // len(self.people) % len(person.questions)]
        return self._request(person, f"{question} Visitor {number} asks.", model_calls=1, use_knowledge=True)

    def _next(self) -> tuple[int, Person]:
        number = next(self._numbers)
        return number, self.people[number % len(self.people)]

    def _request(
        self, person: Person, message: str, *, model_calls: int, tool_calls: int = 0, use_knowledge: bool = False
    ) -> Request:
        body = {"agent": "support", "message": message, "use_knowledge": use_knowledge}
        headers = {
            "Authorization": f"Bearer {person.token}",
            "Accept": "text/event-stream",
            "Content-Type": "application/json",
            "Idempotency-Key": secrets.token_hex(16),
        }

        def problem(tail: bytes) -> str:
            """Return how the run ended otherwise than completed, in just as many steps as this kind of turn has."""
            ended = _run_ended(tail)
            usage = ended.get("usage", {})
            wanted = (RunState.COMPLETED, model_calls, tool_calls)
            became = (ended.get("state"), usage.get("model_calls"), usage.get("tool_calls"))
            return "" if became == wanted else f"{message!r} became {ended or tail[-500:]!r}"

        return Request(f"{self.url}/v1/runs", headers, orjson.dumps(body), problem)


def passthrough_maker(url: str, request: ChatRequest) -> Callable[[], Request]:
    """Return what makes requests to the pass-through: the model call of a one-step turn, as it goes over the wire."""
    numbers = itertools.count()
    system = request.messages[0].text
    tools = [_wire_tool(tool.name, tool.description, tool.parameters) for tool in request.tools]

    def problem(tail: bytes) -> str:
        return "" if tail.endswith(b"data: [DONE]\n\n") else f"the answer ended with {tail[-200:]!r}"

    def make() -> Request:
        body = {
            "model": "mandate-stand-in",
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": f"Hello, this is visitor {next(numbers)}."},
            ],
            "tools": tools,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_completion_tokens": request.max_output_tokens,
        }
        headers = {"Content-Type": "application/json"}
        return Request(url, headers, orjson.dumps(body), problem)

    return make


def _wire_tool(name: str, description: str, parameters: Mapping[str, object]) -> dict[str, object]:
    function = {"name": name, "description": description, "parameters": dict(parameters)}
    return {"type": "function", "function": function}


def _run_ended(tail: bytes) -> dict[str, Any]:
    _, found, rest = tail.rpartition(_ENDED)
    data = rest.partition(b"data: ")[2].partition(b"\n")[0]
    return orjson.loads(data) if found and data else {}
