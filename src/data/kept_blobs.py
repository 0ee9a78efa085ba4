"""A container in Azure with an immutability policy: what erasures and evidence are written to."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from azure.storage.blob.aio import ContainerClient

from core.errors import Defect

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

SECONDS = 5.0
"""Longest that one attempt takes to connect, and to be answered; there are two."""

PAUSE_SECONDS = 1.0
"""Between them, more or less; the SDK's own pause is a quarter of a minute."""


@asynccontextmanager
async def open_container(
    setting: str, url: str, credential: "AsyncTokenCredential", ca_file: Path | None
) -> AsyncGenerator[ContainerClient]:
    """Open the container that a URL names, such as `https://name.blob.core.windows.net/erasures`.

    Raises:
        Defect: the URL, the value of `setting`, is no https URL (`defect.settings`).
    """
    if urlsplit(url).scheme != "https":
        raise Defect(f"{setting} must be an https URL, or on a laptop the path of a file.", code="defect.settings")
    async with ContainerClient.from_container_url(
        url,
        credential,
        retry_total=1,
        initial_backoff=PAUSE_SECONDS,
        increment_base=0,
        random_jitter_range=PAUSE_SECONDS / 2,
        connection_timeout=SECONDS,
        read_timeout=SECONDS,
        connection_verify=str(ca_file) if ca_file else True,
    ) as container:
        yield container
