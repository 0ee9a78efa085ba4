"""The walk itself: a product of its own or somebody's, and the chapters in their order."""

import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import aiohttp
from rich.console import Console
from rich.text import Text

from core.errors import Unavailable
from mandate.demo import approving, asking, attacking, buying, proving, signing_in, walls
from mandate.demo.host import Host
from mandate.demo.report import Report, Step
from mandate.demo.story import Story
from mandate.local.seeding import seed
from mandate.local.stack import Stack, StoreKind, free_port, running
from mandate.local.world import Company, load_companies
from mandate.services import Services
from mandate.settings import ROOT

CHAPTERS: tuple[tuple[str, Sequence[Step[Story]]], ...] = (
    ("Who is asking is proved", signing_in.STEPS),
    ("Answers come from the company's own documents", asking.STEPS),
    ("Money waits for a colleague, and moves once", approving.STEPS),
    ("A hijacked model decides nothing", attacking.STEPS),
    ("The other company does not exist", walls.STEPS),
    ("What happened cannot be rewritten", proving.STEPS),
)

MARKETPLACE: tuple[tuple[str, Sequence[Step[Story]]], ...] = (
    ("Bought, used, suspended, mended, left, erased", buying.STEPS),
)
"""The other story: that of a customer of the marketplace."""

Which = Literal["everything", "marketplace"]

console = Console(highlight=False)

LOG_LINES = 12


async def demo(which: Which, *, separate: bool, replicas: int, store: StoreKind, url: str) -> int:
    """Take every step of the story, and print whether each promise holds.

    Args:
        which: story.
        separate: run each service of the product of its own as a process.
        replicas: of each, if they are separate.
        store: where the data goes.
        url: drive this product instead; what needs its host is named as not run.

    Returns:
        0 if every promise that could be checked holds, 1 otherwise.
    """
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended, as with Ctrl-C
    report = Report(console)
    companies = {company.about.slug: company for company in load_companies(ROOT)} if which == "everything" else {}
    chapters = CHAPTERS if which == "everything" else MARKETPLACE
    async with aiohttp.ClientSession() as session:
        if url:
            await _walk(report, chapters, Story(url.rstrip("/"), session, companies, None))
        else:
            own = _own_product(list(companies.values()), separate=separate, replicas=replicas, store=store)
            async with own as stack:
                await _walk(report, chapters, Story(stack.url, session, companies, Host(stack, session)))
    return report.close(time.monotonic() - began)


async def _walk(report: Report, chapters: Sequence[tuple[str, Sequence[Step[Story]]]], story: Story) -> None:
    for title, steps in chapters:
        report.chapter(title)
        for step in steps:
            await report.take(step, story)


@asynccontextmanager
async def _telling_why(stack: Stack) -> AsyncGenerator[None]:
    """Print the end of each log if the product does not come up: its folder goes away."""
    try:
        yield
    except Unavailable:
        for log in sorted((stack.folder / "logs").glob("*.log")):
            if lines := log.read_text().splitlines()[-LOG_LINES:]:
                console.print(Text("\n".join([f"{log.stem}:", *lines]), style="dim"), soft_wrap=True)
        raise


def _quietly(name: str, done: int, total: int) -> None:
    """Show no progress of the documents: the walk begins when they are in."""


@asynccontextmanager
async def _own_product(
    companies: list[Company], *, separate: bool, replicas: int, store: StoreKind
) -> AsyncGenerator[Stack]:
    """Give a product in a throw-away folder, on free ports, with `companies` in it; nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="mandate-demo-") as folder:
        stack = Stack(Path(folder), free_port(), separate=separate, replicas=replicas, store=store)
        console.print(f"Starting a product of its own; its processes: {', '.join(stack.parts)} ...")
        began = time.monotonic()
        async with _telling_why(stack), running(stack):
            started = time.monotonic()
            await seed(stack, Services.load(ROOT / "environments"), companies, _quietly)
            ready = time.monotonic()
            console.print(
                f"Started in {started - began:.1f} s, {len(companies)} companies set up in {ready - started:.1f} s."
            )
            yield stack
