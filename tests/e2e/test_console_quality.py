"""What holds for every page of the console: nobody is shut out, nothing overflows, and it is there at once."""

import asyncio
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browsing import Console
from commands import SignIn
from fastapi.routing import APIRoute
from playwright.async_api import Page
from pydantic import BaseModel

from interaction.console.navigation import page_routers
from interaction.console.pages import files
from mandate.api import Run

ALDERFINCH = [f"{name}@alderfinch.example" for name in ("mia", "noor", "sander", "greta")]
QUILLMERE = [f"{name}@quillmere.example" for name in ("ingrid", "pavel", "dario", "helene")]
"""Of each company an owner, an approver, a user and an auditor."""

MIA, _, SANDER, _ = ALDERFINCH
BOTH_THEMES = (ALDERFINCH[0], QUILLMERE[2])
ORDERS = {"alderfinch": "A-20398", "quillmere": "QMI-2026-0388"}
MAX_PAGE, MAX_SCRIPTS = 150_000, 40_000
FIRST_PAINT = 2.5
"""Times what the same browser takes at that moment for a page with nothing in it. Where that is 70 ms, with all on two
slow cores, a page has 100 ms of its own; where it is a tenth of that, so is a page's."""

NOTHING = "<!doctype html><title>Nothing</title><p>Nothing"


STATIC = Path(files.__file__).parent.parent / "static"
OF_THE_PUBLISHER = "/publisher"
"""Pages for other people than these: tests/e2e/test_publisher.py looks at them in the same way."""

NEEDS_A_PROVIDER = {"/sign-in", "/signed-in"}
"""Pages that lead elsewhere."""


PAINTED = """new Promise((done) => new PerformanceObserver((list) => {
  const paint = list.getEntriesByName("first-contentful-paint")[0];
  if (paint) done(paint.startTime);
}).observe({ type: "paint", buffered: true }))"""

COUNTED = "counts => counts.map(count => count.closest('a').pathname)"

MAKE_UP = """[...new Set([...document.querySelectorAll("*")].map((element) => {
  const path = [];
  for (let at = element; at; at = at.parentElement) path.push(at.localName + "." + at.className);
  const says = [...element.attributes].map((attribute) => attribute.name).join();
  return path.join("<") + says + (element.textContent.trim() ? "" : " empty");
}))].sort().join()"""
"""What axe-core judges a page by, but for its words: each kind of element, where it stands, how it is dressed."""


VIOLATIONS = """async (rules) =>
  (await axe.run(document, { runOnly: rules, resultTypes: ["violations"] })).violations"""
"""What else axe-core tells, of all that is as it should be, takes three times as long to send as to find out."""


class Places(BaseModel):
    """Where what pages are about can be found, by the names that addresses give it."""

    run: str
    conversation: str
    approval: str
    document: str
    collection: str = "policies"
    name: str = "support"
    number: str = "1"


@pytest.fixture(scope="module")
async def places(client: SignIn) -> Mapping[str, Places]:
    """What there is to see at each company."""
    return {company: await places_of(company, client) for company in ORDERS}


async def places_of(company: str, client: SignIn) -> Places:
    people = {"alderfinch": ALDERFINCH, "quillmere": QUILLMERE}[company]
    user, owner = await client(people[2]), await client(people[0])
    body = {"agent": "support", "message": "How long does a customer have to send something back?"}
    run = Run.model_validate(await user.post("/v1/runs", dict(body)))
    body["message"] = f"Please refund 5.10 EUR for order {ORDERS[company]}, it came broken."
    parked = Run.model_validate(await user.post("/v1/runs", dict(body)))
    assert parked.pending_approval
    documents: Any = (await owner.get("/v1/documents?limit=1"))["items"]
    return Places(
        run=run.run,
        conversation=str(run.conversation),
        approval=parked.pending_approval.approval,
        document=documents[0]["document"],
    )


def addresses() -> list[str]:
    """Every page that the console has, as the routes say it: nobody keeps a list."""
    routes = [route for router in page_routers() for route in router.routes if isinstance(route, APIRoute)]
    paths = {route.path for route in routes if "GET" in (route.methods or ()) and not route.path.startswith("/static")}
    return sorted(path for path in paths - NEEDS_A_PROVIDER if not path.startswith(OF_THE_PUBLISHER))


def filled(path: str, username: str, places: Mapping[str, Places]) -> str:
    own = next(found for company, found in places.items() if f"@{company}." in username)
    return re.sub(r"\{(\w+)\}", lambda name: str(getattr(own, name[1])), path)


async def problems_of(page: Page, axe: str) -> list[str]:
    """What axe-core finds that keeps somebody from using the page."""
    if not await page.evaluate("'axe' in window"):
        # By the debugger's door: the page's own policy lets no script in, and that is as it should be.
        session = await page.context.new_cdp_session(page)
        await session.send("Runtime.evaluate", {"expression": axe})  # pyright: ignore[reportUnknownMemberType] - playwright: bare dict
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    return [
        f"{broken['impact']} {broken['id']}: {node['html'][:160]}"
        for broken in await page.evaluate(VIOLATIONS, rules)
        if broken["impact"] in ("serious", "critical", "moderate")
        for node in broken["nodes"]
    ]


@pytest.fixture(scope="module")
def judged() -> set[tuple[str, str]]:
    """The make-up of every page that was judged, in which theme: many pages are made alike for many people."""
    return set()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("username", ALDERFINCH + QUILLMERE)
async def test_every_page_can_be_used_by_everybody(
    username: str, console: Console, places: Mapping[str, Places], node_folder: Path, judged: set[tuple[str, str]]
) -> None:
    axe = await asyncio.to_thread((node_folder / "node_modules" / "axe-core" / "axe.min.js").read_text)
    page = await console(username, "/account")
    found: dict[str, list[str]] = {}
    for path in addresses():
        await page.goto(address := filled(path, username, places))
        assert urlsplit(page.url).path == address.replace("/conversations/search", "/")
        assert set(await page.eval_on_selector_all("nav .count", COUNTED)) <= {"/approvals"}
        for theme in ("light", "dark") if username in BOTH_THEMES else ("light",):
            await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            if (made := (theme, await page.evaluate(MAKE_UP))) in judged:
                continue
            judged.add(made)
            if problems := await problems_of(page, axe):
                found[f"{path} {theme}"] = problems
    assert found == {}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("username", [SANDER, MIA])
async def test_nothing_is_wider_than_a_small_telephone_and_no_page_is_heavy(
    username: str, console: Console, places: Mapping[str, Places]
) -> None:
    page = await console(username, "/account", viewport={"width": 320, "height": 640})
    wide: list[str] = []
    heavy: list[tuple[str, int]] = []
    for path in addresses():
        await page.goto(filled(path, username, places), wait_until="load")
        if await page.evaluate("document.documentElement.scrollWidth") > 320:
            wide.append(path)
        sizes = "performance.getEntries().reduce((sum, entry) => sum + (entry.decodedBodySize ?? 0), 0)"
        if (size := await page.evaluate(sizes)) > MAX_PAGE:
            heavy.append((path, size))
    assert (wide, heavy) == ([], [])


async def test_pages_are_painted_at_once(console: Console, places: Mapping[str, Places]) -> None:
    """One of eight loads has to be: what else the machine does is not the page's."""
    page = await console(MIA, "/account")
    await page.route("**/nothing", lambda route: route.fulfill(body=NOTHING, content_type="text/html"))
    slow: list[tuple[str, list[float]]] = []
    for path in addresses():
        took: list[float] = []
        while len(took) < 8 and min(took, default=math.inf) > FIRST_PAINT:
            took.append(await painted(page, filled(path, MIA, places)) / await painted(page, "/nothing"))
        if min(took) > FIRST_PAINT:
            slow.append((path, took))
    assert slow == []


async def painted(page: Page, path: str) -> float:
    """Return after how many milliseconds something of the page could be seen."""
    await page.goto(path)
    return await page.evaluate(PAINTED)


def test_all_scripts_together_are_small() -> None:
    assert 0 < sum(file.stat().st_size for file in STATIC.glob("*.js")) < MAX_SCRIPTS
