"""Products of the tests' own with both demo companies in them, set up as `mandate up` does it."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mandate.local.seeding import seed
from mandate.local.stack import Stack, running
from mandate.local.world import load_companies
from mandate.services import Services
from mandate.settings import ROOT


@asynccontextmanager
async def seeded(stack: Stack) -> AsyncGenerator[Stack]:
    """Run a stack with the demo companies in it for as long as the context lasts.

    Where tests run in two processes, they begin with different companies: a document's vectors, which take most of the
    time, are then computed by the one and found by the other.
    """
    companies = load_companies(ROOT)
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw1":
        companies.reverse()
    async with running(stack):
        await seed(stack, Services.load(ROOT / "environments"), companies, lambda name, done, total: None)
        yield stack
