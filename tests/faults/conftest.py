"""A product of its own for each module of faults, with both demo companies in it, and what it was hit in."""

from collections import Counter
from collections.abc import AsyncGenerator

import aiohttp
import pytest

from chosen_store import STORE
from mandate.local.seeding import seed
from mandate.local.stack import Stack, free_port, running
from mandate.local.world import load_companies
from mandate.services import Services
from mandate.settings import ROOT

_PHASES = pytest.StashKey[Counter[str]]()


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("faults"), free_port(), store=STORE)
    async with running(stack):
        await seed(stack, Services.load(ROOT / "environments"), load_companies(ROOT), lambda name, done, total: None)
        yield stack


@pytest.fixture(scope="session")
async def session() -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def phases(request: pytest.FixtureRequest) -> Counter[str]:
    """How often a kill struck a run behind which event; printed when the tests are over."""
    return request.config.stash.setdefault(_PHASES, Counter())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if phases := config.stash.get(_PHASES, None):
        terminalreporter.section("where runs were when the process was killed")
        for phase, count in phases.most_common():
            terminalreporter.line(f"{count:6}  {phase}")
