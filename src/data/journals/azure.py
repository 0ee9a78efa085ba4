"""In Azure: a blob for each line, in a container with an immutability policy, apart from the store and its backups."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob.aio import ContainerClient

from data.journals import unreachable
from data.kept_blobs import open_container

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

_AT_ONCE = 16


class BlobJournal:
    """See `Journal`. A blob is created and never replaced: `overwrite=False` is `If-None-Match: *`."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    async def note(self, name: str, line: bytes) -> None:
        try:
            await self._container.upload_blob(f"{name}.json", line, overwrite=False)
        except ResourceExistsError:
            return  # the same, sent again: no two lines have one name
        except AzureError:
            raise unreachable() from None

    async def lines(self) -> Sequence[bytes]:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def read(name: str) -> bytes:
            async with gate:
                return await (await self._container.download_blob(name)).readall()

        try:
            names = [name async for name in self._container.list_blob_names()]
            return await asyncio.gather(*map(read, names))
        except AzureError:
            raise unreachable() from None


@asynccontextmanager
async def open_journal(
    url: str, credential: "AsyncTokenCredential", ca_file: Path | None = None
) -> AsyncGenerator[BlobJournal]:
    """Open the container that MANDATE_ERASURE_JOURNAL names; see `open_container`."""
    async with open_container("MANDATE_ERASURE_JOURNAL", url, credential, ca_file) as container:
        yield BlobJournal(container)
