"""Reading pages: what a stranger would get, from where it is allowed, and nothing of ours goes along."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from core import (
    Confidentiality,
    Effect,
    Integrity,
    Label,
    SystemClock,
)
from core.errors import Defect
from tool_calls import CALLER, permit_for
from tools import Egress, Executor, Failed, Ok, Origin, Registry, ToolOutcome, open_session
from tools.web_pages import web_page_tools

(READ_PAGE,) = web_page_tools()
PAGE = (
    "<html><head><title>T</title><style>p {}</style></head><body><p>Two days</p><script>x()</script> late</body></html>"
)


@dataclass
class Site:
    """A host with public pages under `/pages/`, and what is nobody's business beside them."""

    url: str = ""
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list[tuple[str, dict[str, str]]])

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append((request.raw_path, {name.lower(): value for name, value in request.headers.items()}))
        match request.path:
            case "/pages/away":
                raise web.HTTPFound("http://evil.example/")
            case "/pages/long":
                return web.Response(text="x" * 20_000, content_type="text/html")
            case "/pages/huge":
                return web.Response(text="x" * 300_000, content_type="text/html")
            case "/pages/gone":
                raise web.HTTPNotFound
            case _:
                return web.Response(text=PAGE, content_type="text/html")


@pytest.fixture
async def site() -> AsyncGenerator[Site]:
    found, app = Site(), web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


async def read(site: Site, url: str) -> ToolOutcome:
    async def token(scope: str) -> str:
        return "secret"

    arguments = READ_PAGE.parse(f'{{"url": "{url}"}}')
    async with open_session() as session:
        egress = Egress(session, [Origin.parse(site.url, scope="x")], token, pages=[f"{site.url}/pages/"])
        executor, permit = Executor(Registry([READ_PAGE]), egress, SystemClock()), permit_for(READ_PAGE, arguments)
        return await executor.execute(permit, READ_PAGE, arguments, CALLER, read=Label())


async def test_a_page_is_read_as_its_text_and_counts_as_untrusted(site: Site) -> None:
    outcome = await read(site, f"{site.url}/pages/status")
    assert isinstance(outcome, Ok)
    assert outcome.result == b'{"cut":false,"text":"Two days late"}'
    assert outcome.label.integrity is Integrity.UNTRUSTED


async def test_whoever_runs_the_page_learns_nothing_of_who_asks(site: Site) -> None:
    await read(site, f"{site.url}/pages/status")
    ((_, headers),) = site.seen
    assert headers.keys() <= {"host", "accept", "accept-encoding", "user-agent"}
    assert not any(said in str(headers) for said in ("ten_a", "run_a", "prn_a", "cor_a", "idem_a", "secret"))


@pytest.mark.parametrize(
    "path",
    ["/orders/A-1", "/pages", "/pages/../orders/A-1", "/pages/./../orders/A-1", "/pages/..", "//pages/status", "/", ""],
)
async def test_what_is_not_under_an_allowed_address_is_not_asked_for(site: Site, path: str) -> None:
    outcome = await read(site, f"{site.url}{path}")
    assert isinstance(outcome, Failed)
    assert (outcome.code, site.seen) == ("egress.host", [])


@pytest.mark.parametrize(
    "other", ["https://evil.example/pages/x", "http://127.0.0.1:1/pages/x", "http://localhost/pages/x"]
)
async def test_no_other_host_is_asked(site: Site, other: str) -> None:
    outcome = await read(site, other)
    assert isinstance(outcome, Failed)
    assert (outcome.code, site.seen) == ("egress.host", [])


@pytest.mark.parametrize("end", ["?q=C-1007", "#C-1007", "/%2e%2e/orders", "/a b", "/\\u0430"])
async def test_an_address_has_no_query_and_no_escapes(site: Site, end: str) -> None:
    with pytest.raises(Exception, match="do not fit"):
        await read(site, f"{site.url}/pages/status{end}")


async def test_it_goes_nowhere_else_and_is_bounded(site: Site) -> None:
    away, huge, gone = [await read(site, f"{site.url}/pages/{name}") for name in ("away", "huge", "gone")]
    long = await read(site, f"{site.url}/pages/long")
    assert isinstance(away, Failed)
    assert isinstance(huge, Failed)
    assert isinstance(gone, Failed)
    assert (away.code, huge.code, gone.code) == ("egress.redirect", "egress.size", "page.unreadable")
    assert isinstance(long, Ok)
    assert len(long.result) < 9000
    assert b'"cut":true' in long.result


def test_it_is_declared_as_what_carries_data_outwards() -> None:
    assert (READ_PAGE.effect, READ_PAGE.egress, READ_PAGE.ceiling) == (Effect.READ, True, Confidentiality.INTERNAL)


@pytest.mark.parametrize("page", ["ftp://x/", "https://status.example/pages", "nonsense", "https:///"])
async def test_an_address_of_pages_that_is_none_is_found_at_start(page: str) -> None:
    async def token(scope: str) -> str:
        return ""

    async with open_session() as session:
        with pytest.raises(Defect):
            Egress(session, [], token, pages=[page])
