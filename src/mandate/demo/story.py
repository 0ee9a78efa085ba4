"""Who takes part in the story, and what has happened in it so far."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import aiohttp
import yaml
from pydantic import BaseModel, ConfigDict

from core import Json
from mandate.api import (
    Approval,
    DecisionTold,
    Explanation,
    Myself,
    Run,
)
from mandate.client import Client
from mandate.demo.host import Host
from mandate.demo.report import NotRun, expect
from mandate.local.world import Company
from mandate.people import sign_in

SHOP = "alderfinch"
LAB = "quillmere"
"""The two companies. What is asked in one must never be seen in the other."""


class Question(BaseModel):
    """What people ask, the document that answers, and words of its answering section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    expect_document: str
    expect_words: list[str]


@dataclass(slots=True)
class Story:
    """The walk so far.

    Attributes:
        runs: who started which runs, in order; each is verified at the end.
        notes: what later steps need of earlier ones, by a name.
    """

    url: str
    session: aiohttp.ClientSession
    companies: dict[str, Company]
    machine: Host | None
    runs: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    notes: dict[str, str] = field(default_factory=dict[str, str])
    _signed_in: dict[str, Client] = field(default_factory=dict[str, Client])

    @property
    def host(self) -> Host:
        if self.machine is None:
            raise NotRun("needs the product's host; without --url the demo has one of its own")
        return self.machine

    def note(self, name: str) -> str:
        if name not in self.notes:
            raise NotRun("builds on a step above that was not taken, or failed")
        return self.notes[name]

    async def person(self, name: str) -> Client:
        """Return somebody of either company, signed in, by their first name."""
        if name not in self._signed_in:
            usernames = [user.username for company in self.companies.values() for user in company.about.users]
            username = next(username for username in usernames if username.startswith(f"{name}@"))
            self._signed_in[name] = await sign_in(self.session, self.url, username)
        return self._signed_in[name]

    async def me(self, name: str) -> Myself:
        return Myself.model_validate(await (await self.person(name)).get("/v1/me"))

    async def ask(self, name: str, message: str, key: str = "") -> Run:
        """Have somebody ask the support agent, and return the run once it has ended or waits."""
        client = await self.person(name)
        headers = {"Idempotency_Key": key} if key else {}
        run = Run.model_validate(await client.post("/v1/runs", {"agent": "support", "message": message}, **headers))
        if (name, run.run) not in self.runs:
            self.runs.append((name, run.run))
        return run

    async def run(self, name: str, run: str) -> Run:
        return Run.model_validate(await (await self.person(name)).get(f"/v1/runs/{run}"))

    async def approval(self, name: str, approval: str) -> Approval:
        return Approval.model_validate(await (await self.person(name)).get(f"/v1/approvals/{approval}"))

    async def decisions(self, name: str, run: str, tool: str) -> list[DecisionTold]:
        """Return what was decided about a tool in a run, as it is explained to `name`."""
        told = Explanation.model_validate(await (await self.person(name)).get(f"/v1/runs/{run}/explanation"))
        return [decision for decision in told.decisions if decision.target == tool]

    async def refused(self, name: str, status: int, method: str, path: str, body: Json = None) -> str:
        """Have somebody try what they may not; check that they are told `status`, and return the error's code."""
        answer = await (await self.person(name)).ask(method, path, body)
        expect(answer.status == status, f"{method} {path.split('/')[2]} by {name} gave {answer.status}, not {status}")
        return str(answer.body.get("code", ""))

    def questions(self, slug: str) -> list[Question]:
        raw = yaml.safe_load((self.companies[slug].folder / "questions.yaml").read_text())
        return [Question.model_validate(item) for item in raw]

    def title(self, slug: str, document: str) -> str:
        """Return the title of a document that is named as `collection/name.md`."""
        found: Iterator[str] = (
            item.title for item in self.companies[slug].documents() if f"{item.collection}/{item.name}.md" == document
        )
        return next(found)
