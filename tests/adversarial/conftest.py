"""Three products. One is as it is shipped; one's guard suspects nothing; of one the policies permit all.

The attacks are on the second: a guard can be written around, so nothing that is claimed of them may rest on it.
"""

from collections.abc import AsyncGenerator

import pytest
from companies import world

from agent_world import PERMITS_ALL, SeesNothing, World


@pytest.fixture(scope="session")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    async with world(tmp_path_factory.mktemp("closed"), None) as product:
        yield product


@pytest.fixture(scope="session")
async def unguarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    async with world(tmp_path_factory.mktemp("unguarded"), None, [SeesNothing()]) as product:
        yield product


@pytest.fixture(scope="session")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    async with world(tmp_path_factory.mktemp("opened"), PERMITS_ALL, [SeesNothing()]) as product:
        yield product
