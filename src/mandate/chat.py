"""`mandate chat`: a conversation with an agent in the terminal."""

import asyncio
import sys
import threading
from contextlib import aclosing
from http import HTTPStatus

import aiohttp
from rich.console import Console

from core import Json
from core.errors import BadRequest, Unavailable
from mandate.api import Agent, Approval, ApprovalPage, Explanation
from mandate.client import ApiError, Client
from mandate.local.world import load_companies
from mandate.people import sign_in
from mandate.settings import ROOT
from mandate.transcript import Transcript, say, when
from mandate.turns import ask, follow, last_run

console = Console(highlight=False)

HELP = """\
  /new        begin a new conversation
  /why        why the last answer came about
  /wait       follow the last run until it ends, such as one that waits for an approval
  /approvals  what waits for an approval, and decide on it where you may
  /quit       leave (or Ctrl-D); Ctrl-C cancels the answer that is being written"""

CANCEL_SECONDS = 10.0

GOOD_ENDS = ("completed", "parked")


async def chat(url: str, user: str, agent: str, message: str) -> int:
    """Talk to an agent until the person leaves; with `message`, say that and leave.

    Returns:
        0; with `message`, 1 if the run did neither complete nor stop for an approval.

    Raises:
        NotFound: there is no such user.
        ApiError: there is no such agent, or the API refuses otherwise.
    """
    username = user or await _choose_user()
    async with aiohttp.ClientSession() as session:
        talk = Chat(await sign_in(session, url, username), agent)
        await talk.disclose()
        if message:
            return 0 if await talk.say(message) in GOOD_ENDS else 1
        await _converse(talk, session)
    return 0


class Chat:
    """One person's conversation with one agent."""

    def __init__(self, client: Client, agent: str) -> None:
        self.client = client
        self._agent = agent
        self._conversation = ""

    async def disclose(self) -> None:
        agent = Agent.model_validate(await self.client.get(f"/v1/agents/{self._agent}"))
        _print(f"{agent.title}, signed in as {self.client.username}", "bold")
        _print(f"{agent.disclosure}\n", "dim")

    async def say(self, message: str) -> str:
        """Say one thing, show what happens, and return the state in which the run ended or waits."""
        question: Json = {"agent": self._agent, "message": message}
        if self._conversation:
            question = {**question, "conversation": self._conversation}
        transcript = Transcript(console)
        try:
            async with aclosing(ask(self.client, question)) as events:
                async for event in events:
                    transcript.show(event)
                    self._conversation = transcript.conversation or self._conversation
        except asyncio.CancelledError:
            await self._cancel()
            raise
        _print("")
        return transcript.state

    async def obey(self, command: str) -> None:
        """Carry out a line that begins with a slash."""
        match command:
            case "/new":
                self._conversation = ""
                _print("A new conversation.", "dim")
            case "/why" if self._conversation:
                await self._explain()
            case "/wait" if self._conversation:
                await self._wait()
            case "/why" | "/wait":
                _print("Nothing was asked yet.", "dim")
            case "/approvals":
                await self._decide_all()
            case _:
                _print(HELP)

    async def _cancel(self) -> None:
        """End the run under way; it may have ended by itself just now."""
        if self._conversation:
            async with asyncio.timeout(CANCEL_SECONDS):
                run = await last_run(self.client, self._conversation)
                await self.client.ask("POST", f"/v1/runs/{run}/cancel")
            _print("\n  × cancelled", "red")

    async def _explain(self) -> None:
        run = await last_run(self.client, self._conversation)
        told = Explanation.model_validate(await self.client.get(f"/v1/runs/{run}/explanation"))
        for title, text in told.plain:
            _print(f"{title.replace('_', ' ').capitalize()}", "bold")
            _print(f"  {text}")
        for decision in told.decisions:
            policies = ", ".join(decision.policies) or "no policy allows it"
            _print(f"  · {decision.kind} {decision.target}: {decision.lane} ({policies}), {decision.outcome}", "dim")
        _print(f"  · {run}", "dim")

    async def _wait(self) -> None:
        transcript = Transcript(console)
        run = await last_run(self.client, self._conversation)
        async with aclosing(follow(self.client, run)) as events:
            async for event in events:
                transcript.show(event)

    async def _decide_all(self) -> None:
        """Show what is pending, one after the other, and let the person decide where they may."""
        page = ApprovalPage.model_validate(await self.client.get("/v1/approvals"))
        if not page.items:
            _print("Nothing waits for an approval that you may see.", "dim")
        for line in page.items:
            await self._decide(Approval.model_validate(await self.client.get(f"/v1/approvals/{line.approval}")))

    async def _decide(self, approval: Approval) -> None:
        _print(f"\n{approval.consequence}", "bold")
        _print(f"  asked for in the words: {approval.message or ''}")
        _print(f"  why it waits: {approval.why} Until {when(approval.expires_at)}.")
        if untrusted := [name for name, label in approval.argument_labels.items() if label.integrity == "untrusted"]:
            _print(f"  not in the words of who asked, nor of a record: {', '.join(untrusted)}", "yellow")
        if not approval.may_decide:
            _print("  You may not decide this: an approver other than who asked for it does.", "dim")
            return
        said = await _read("  approve (a), deny (d), or leave it (Enter)? ") or ""
        verdict = {"a": "approved", "d": "denied"}.get(said.strip().lower()[:1])
        if verdict is None:
            return
        reason = (await _read("  why? ") or "").strip()
        await self.client.post(f"/v1/approvals/{approval.approval}/decision", {"verdict": verdict, "reason": reason})
        _print(f"  {verdict}", "green")


async def _converse(talk: Chat, session: aiohttp.ClientSession) -> None:
    """Take line after line until the person leaves. What the API refuses is told, and the conversation goes on."""
    _print("/help shows what else you can do.\n", "dim")
    while (line := await _read("> ")) is not None and line.strip() != "/quit":
        try:
            await _take(talk, line.strip())
        except ApiError as error:
            _print(f"  × {error.message} ({error.code})", "red")
            if error.answer.status == HTTPStatus.UNAUTHORIZED:
                talk.client = await sign_in(session, talk.client.url, talk.client.username)
                _print("  · signed in again; say it once more", "dim")
        except (Unavailable, aiohttp.ClientError, TimeoutError):
            _print("  × The product does not answer. Look whether it is up, and say it once more.", "red")


async def _take(talk: Chat, line: str) -> None:
    if line.startswith("/"):
        await talk.obey(line)
    elif line:
        try:
            await talk.say(line)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()  # Ctrl-C cancelled the answer, not the conversation


async def _choose_user() -> str:
    if not sys.stdin.isatty():
        raise BadRequest("Say whom to sign in as, with --user.", code="request.user")
    people = [(user, company) for company in load_companies(ROOT) for user in company.about.users]
    for number, (user, company) in enumerate(people, start=1):
        _print(f"{number:3}  {user.name}, {company.about.name} ({', '.join(user.roles)})")
    while (said := await _read("Sign in as number: ")) is not None:
        if said.strip().isdecimal() and 1 <= int(said) <= len(people):
            return people[int(said) - 1][0].username
    raise BadRequest("Nobody was chosen.", code="request.user")


async def _read(prompt: str) -> str | None:
    """Return a line that the person types, None at the end of input.

    In a thread that nothing waits for: else Ctrl-C would leave the program waiting for one more line.
    """
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str | None] = loop.create_future()

    def read() -> None:
        try:
            text = input(prompt)
        except EOFError:
            text = None
        loop.call_soon_threadsafe(lambda: line.done() or line.set_result(text))

    threading.Thread(target=read, daemon=True, name="prompt").start()
    return await line


def _print(text: str, style: str = "") -> None:
    say(console, text, style)
