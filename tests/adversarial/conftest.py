"""Two products that differ in one thing: the policies of one are those that are shipped, the other's permit all."""

from collections.abc import AsyncGenerator

import pytest
from companies import world

from agent_world import PERMITS_ALL, World


@pytest.fixture(scope="session")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    async with world(tmp_path_factory.mktemp("closed"), None) as product:
        yield product


@pytest.fixture(scope="session")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    async with world(tmp_path_factory.mktemp("opened"), PERMITS_ALL) as product:
        yield product
