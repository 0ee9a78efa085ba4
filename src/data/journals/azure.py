"""In Azure: a blob for each line, in a container with an immutability policy, apart from the store and its backups."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob.aio import ContainerClient

from core.errors import Defect
from data.journals import unreachable

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

SECONDS = 5.0
"""Longest that one attempt takes to connect, and to be answered; there are two."""

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
    """Open the container that a URL names, such as `https://name.blob.core.windows.net/erasures`.

    Raises:
        Defect: the URL is no https URL (`defect.settings`).
    """
    if urlsplit(url).scheme != "https":
        raise Defect("MANDATE_ERASURE_JOURNAL must be the path of a file or an https URL.", code="defect.settings")
    async with ContainerClient.from_container_url(
        url,
        credential,
        retry_total=1,
        connection_timeout=SECONDS,
        read_timeout=SECONDS,
        connection_verify=str(ca_file) if ca_file else True,
    ) as container:
        yield BlobJournal(container)
