"""How a tool call ends: done, certainly not done, or unknown; and where it can never reach. Loopback only."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated

import aiohttp
import pytest
from aiohttp import web
from pydantic import BaseModel, Field

from core import (
    PRISTINE,
    Confidentiality,
    Effect,
    Integrity,
    Label,
    RunId,
    SystemClock,
    TenantId,
)
from core.errors import Defect, Forbidden, MandateError, TooLarge
from tool_calls import CALLER, permit_for
from tools import (
    Caller,
    Egress,
    Executor,
    Failed,
    Method,
    Ok,
    Origin,
    Refusal,
    Registry,
    Tool,
    ToolCall,
    ToolOutcome,
    Unknown,
    open_session,
    tool,
)

UNTRUSTED = Label(integrity=Integrity.UNTRUSTED, confidentiality=Confidentiality.CONFIDENTIAL)


class Answer(BaseModel):
    text: str


@dataclass
class Peer:
    """A server on the loopback that counts what reaches it and answers as its path says."""

    url: str = ""
    seen: Counter[str] = field(default_factory=Counter[str])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen[request.path] += 1
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.body = await request.read()
        match request.path:
            case "/drop":
                assert request.transport is not None
                request.transport.abort()
            case "/stall":
                await self.over.wait()
            case "/redirect":
                raise web.HTTPTemporaryRedirect("/ok")
            case "/huge":
                return web.Response(body=b"x" * 300_000)
            case "/long":
                return web.json_response({"text": "x" * 70_000})
            case "/cookie":
                return web.json_response({"text": "ok"}, headers={"set-cookie": "tenant=a; Path=/"})
            case _:
                pass
        return web.json_response({"text": "ok"})


@asynccontextmanager
async def serving(peer: Peer) -> AsyncGenerator[None]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", peer.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    peer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield
    finally:
        peer.over.set()
        await runner.cleanup()


@pytest.fixture
async def peer() -> AsyncGenerator[Peer]:
    peer = Peer()
    async with serving(peer):
        yield peer


async def token(scope: str) -> str:
    return f"token-for-{scope}"


@pytest.fixture
async def egress(peer: Peer) -> AsyncGenerator[Egress]:
    async with open_session() as session:
        yield Egress(session, [Origin.parse(peer.url, scope="backoffice")], token, seconds=3)


def make(effect: Effect, *, method: Method = "POST", timeout: float = 2.0) -> Tool:
    @tool(effect=effect, reversible=False, consequence="Calls {url}.", timeout=timeout)
    async def call_it(call: ToolCall, url: Annotated[str, Field(description="Where.")]) -> Answer | Refusal:
        """Call it."""
        if url == "refuse":
            return Refusal("other.refused", "Not like this.")
        if url == "break":
            raise ZeroDivisionError("private words")
        response = await call.http.request(method, url, body={"a": 1} if method == "POST" else None)
        if url.endswith("/broken"):
            raise KeyError("private words")
        return Answer.model_validate_json(response.body)

    return call_it


async def run(egress: Egress, made: Tool, url: str, *, caller: Caller = CALLER) -> ToolOutcome:
    arguments = made.parse(json.dumps({"url": url}))
    executor = Executor(Registry([made]), egress, SystemClock())
    return await executor.execute(permit_for(made, arguments, caller), made, arguments, caller, read=PRISTINE)


async def test_a_permitted_call_reaches_the_service_once_with_who_it_is_for(peer: Peer, egress: Egress) -> None:
    outcome = await run(egress, make(Effect.WRITE), f"{peer.url}/ok")
    assert outcome == Ok(b'{"text":"ok"}', UNTRUSTED)
    assert peer.seen == {"/ok": 1}
    assert peer.body == b'{"a":1}'
    assert {
        "x-mandate-tenant": "ten_a",
        "x-mandate-run": "run_a",
        "x-correlation-id": "cor_a",
        "idempotency-key": "idem_a",
        "authorization": "Bearer token-for-backoffice",
        "content-type": "application/json",
    }.items() <= peer.headers.items()


async def test_without_exactly_the_permit_nothing_leaves(peer: Peer, egress: Egress) -> None:
    made = make(Effect.WRITE)
    executor = Executor(Registry([made]), egress, SystemClock())
    arguments = made.parse(json.dumps({"url": f"{peer.url}/ok"}))
    others = made.parse(json.dumps({"url": f"{peer.url}/other"}))
    foreign = replace(CALLER, tenant=TenantId("ten_b"))
    spent = permit_for(made, arguments)
    await executor.execute(spent, made, arguments, CALLER)
    peer.seen.clear()
    for permit, given, caller in (
        (spent, arguments, CALLER),
        (permit_for(made, arguments), others, CALLER),
        (permit_for(made, arguments), arguments, foreign),
        (permit_for(made, arguments), arguments, replace(CALLER, run=RunId("run_b"))),
    ):
        with pytest.raises(Defect):
            await executor.execute(permit, made, given, caller)
    look_alike = make(Effect.READ)
    with pytest.raises(Defect):
        await executor.execute(permit_for(look_alike, arguments), look_alike, arguments, CALLER)
    assert not peer.seen


@pytest.mark.parametrize("effect", [Effect.WRITE, Effect.EXTERNAL, Effect.IRREVERSIBLE])
@pytest.mark.parametrize(
    ("path", "method", "code"),
    [
        ("/stall", "POST", "timeout.tool"),
        ("/drop", "POST", "egress.no_answer"),
        ("/drop", "DELETE", "egress.no_answer"),
        ("/drop", "PUT", "egress.no_answer"),
        ("/redirect", "POST", "egress.redirect"),
        ("/huge", "POST", "egress.size"),
        ("/long", "POST", "tool.result_size"),
        ("/broken", "POST", "defect.tool"),
    ],
)
async def test_an_effect_that_may_have_happened_is_unknown_and_was_asked_for_once(
    peer: Peer, egress: Egress, effect: Effect, path: str, *, method: Method, code: str
) -> None:
    outcome = await run(egress, make(effect, method=method, timeout=0.3), peer.url + path)
    assert outcome == Unknown(code)
    assert peer.seen == {path: 1}


@pytest.mark.parametrize(
    ("path", "code"),
    [("/stall", "timeout.tool"), ("/drop", "egress.no_answer"), ("/redirect", "egress.redirect")],
)
async def test_a_read_without_an_answer_has_failed(peer: Peer, egress: Egress, path: str, code: str) -> None:
    outcome = await run(egress, make(Effect.READ, method="GET", timeout=0.3), peer.url + path)
    assert isinstance(outcome, Failed)
    assert outcome.code == code
    assert peer.seen == {path: 1}


async def test_what_certainly_did_not_leave_has_failed(peer: Peer, egress: Egress) -> None:
    made = make(Effect.IRREVERSIBLE)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    open_to_nobody = Egress(egress.session, [Origin.parse(nobody)], token)
    late = replace(CALLER, deadline=SystemClock().now())
    for outcome, code in (
        (await run(open_to_nobody, made, nobody), "egress.unreachable"),
        (await run(egress, made, f"{nobody}/"), "egress.host"),
        (await run(egress, made, "refuse"), "other.refused"),
        (await run(egress, made, "break"), "defect.tool"),
        (await run(egress, made, f"{peer.url}/ok", caller=late), "timeout.deadline"),
    ):
        assert isinstance(outcome, Failed)
        assert outcome.code == code
        assert "private" not in outcome.message
    assert not peer.seen


async def test_a_failed_handshake_is_certainly_not_sent(peer: Peer, egress: Egress) -> None:
    encrypted = peer.url.replace("http:", "https:")
    outcome = await run(Egress(egress.session, [Origin.parse(encrypted)], token), make(Effect.WRITE), encrypted)
    assert isinstance(outcome, Failed)
    assert outcome.code == "egress.unreachable"
    assert not peer.seen


async def test_the_runs_deadline_ends_a_tool_before_its_own_timeout(peer: Peer, egress: Egress) -> None:
    soon = replace(CALLER, deadline=SystemClock().now() + timedelta(milliseconds=300))
    assert await run(egress, make(Effect.WRITE, timeout=60), f"{peer.url}/stall", caller=soon) == Unknown(
        "timeout.tool"
    )


async def test_a_failure_to_get_a_token_sends_nothing(peer: Peer, egress: Egress) -> None:
    async def no_token(scope: str) -> str:
        raise MandateError("No token.", code="dependency.identity")

    strict = Egress(egress.session, [Origin.parse(peer.url, scope="backoffice")], no_token)
    assert await run(strict, make(Effect.WRITE), f"{peer.url}/ok") == Failed(
        "dependency.identity", "No token.", PRISTINE
    )
    assert not peer.seen


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1:PORT",
        "http://2130706433:PORT",
        "http://0x7f000001:PORT",
        "http://017700000001:PORT",
        "http://[::ffff:127.0.0.1]:PORT",
        "http://[::1]:PORT",
        "http://localhost:PORT",
        "http://127.0.0.1.:PORT",
        "http://127.0.0.1%2eevil.example:PORT",
        "http://evil.example:PORT",
        "http://name:secret@127.0.0.1:PORT",
        "http://name@127.0.0.1:PORT",
        "https://127.0.0.1:PORT",
        "ftp://127.0.0.1:PORT",
        "file:///etc/hosts",
        "//127.0.0.1:PORT",
        "127.0.0.1:PORT",
        "/relative",
        "",
        "http://[",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://evil.example#http://127.0.0.1:PORT",
        "http://evil.example?http://127.0.0.1:PORT",
        "http://127.0.0.1:PORT@evil.example/",
        "http://127.0.0.1:PORT\\@evil.example/",
        "http://127.0.0.1:PORT\r\nHost: evil.example",
    ],
)
async def test_no_spelling_of_an_address_reaches_what_was_not_allowed_by_name(
    peer: Peer, egress: Egress, url: str
) -> None:
    port = peer.url.rpartition(":")[2]
    with pytest.raises(Forbidden) as caught:
        await egress.client(CALLER).request("POST", url.replace("PORT", port), body={})
    assert caught.value.code == "egress.host"
    assert not peer.seen


async def test_a_redirect_is_not_followed_and_an_answer_has_a_limit(peer: Peer, egress: Egress) -> None:
    client = egress.client(CALLER)
    with pytest.raises(Forbidden, match="pointed"):
        await client.request("GET", f"{peer.url}/redirect")
    with pytest.raises(TooLarge):
        await client.request("GET", f"{peer.url}/huge")
    assert peer.seen == {"/redirect": 1, "/huge": 1}


async def test_a_token_goes_to_its_own_service_only(peer: Peer, egress: Egress) -> None:
    other = Peer()
    async with serving(other):
        both = Egress(egress.session, [Origin.parse(peer.url, scope="backoffice"), Origin.parse(other.url)], token)
        await both.client(CALLER).request("GET", f"{other.url}/ok")
    assert "authorization" not in other.headers


async def test_no_cookie_goes_from_one_call_to_the_next(peer: Peer, egress: Egress) -> None:
    for path in ("/cookie", "/ok"):
        await egress.client(CALLER).request("GET", peer.url + path)
    assert "cookie" not in peer.headers
    async with aiohttp.ClientSession() as keeps_cookies:
        with pytest.raises(Defect, match="cookies"):
            Egress(keeps_cookies, [], token)


async def test_concurrent_calls_keep_their_tenants_apart(peer: Peer, egress: Egress) -> None:
    seen: list[tuple[str, str]] = []

    async def record(request: web.Request) -> web.StreamResponse:
        seen.append((request.path, request.headers["x-mandate-tenant"]))
        return web.json_response({"text": "ok"})

    other = Peer()
    other.answer = record
    async with serving(other):
        wide = Egress(egress.session, [Origin.parse(other.url)], token)
        callers = [replace(CALLER, tenant=TenantId(f"ten_{n}")) for n in range(20)]
        await asyncio.gather(*(wide.client(c).request("GET", f"{other.url}/{c.tenant}") for c in callers))
    assert len(seen) == 20
    assert all(path == f"/{tenant}" for path, tenant in seen)


async def test_a_broken_tool_is_logged_for_the_tenant_that_it_was_called_for(
    peer: Peer, egress: Egress, caplog: pytest.LogCaptureFixture
) -> None:
    await run(egress, make(Effect.READ), "break")
    assert [record.__dict__["mandate"]["tenant"] for record in caplog.records] == [CALLER.tenant]
    assert "private words" not in str(caplog.records[0].__dict__["mandate"])


async def test_a_process_that_lost_its_hold_on_the_run_while_it_got_a_token_sends_nothing(
    peer: Peer, egress: Egress
) -> None:
    hold = {"held": True}

    async def slow_token(scope: str) -> str:
        hold["held"] = False
        return scope

    slow = Egress(egress.session, [Origin.parse(peer.url, scope="backoffice")], slow_token)
    caller = replace(CALLER, held=lambda: hold["held"])
    outcome = await run(slow, make(Effect.WRITE), f"{peer.url}/ok", caller=caller)
    assert isinstance(outcome, Failed)
    assert outcome.code == "run.lease"
    assert not peer.seen
