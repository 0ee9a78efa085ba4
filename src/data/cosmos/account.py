"""The connection to an account of Azure Cosmos DB, and to the storage account beside it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceExistsError
from azure.cosmos.aio import CosmosClient
from azure.cosmos.documents import ConnectionPolicy
from azure.storage.blob.aio import BlobServiceClient

from core import PUBLISHER
from core.errors import Defect
from data.cosmos.calls import ATTEMPT_SECONDS, Calls
from data.cosmos.containers import Containers, make_all
from data.cosmos.usage import BLOBS, Operation, count_response

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.cosmos.aio import DatabaseProxy
    from azure.storage.blob.aio import ContainerClient

CONNECT_SECONDS = 3.0
BLOCK_BYTES = 1_000_000
"""Of a blob, in one request: aiohttp holds up the event loop for larger ones."""

BLOB_CONTAINER = "content"
DATABASE = "mandate"


@dataclass(frozen=True, slots=True)
class Account:
    """Where the data is, and how to get there.

    Attributes:
        url: of the Cosmos DB account; its path, if it has one, is the name of the database.
        credential: what proves who we are; a key only where an emulator knows nothing else.
        containers: as `environments/containers.yaml` declares them.
        blobs: URL of the storage account for large content; without one that is kept in Cosmos DB, in pieces.
        regions: which of the account's regions to prefer, best first; none for the one that writes go to.
        make: make database and containers. On a laptop only: a role on data may not.
        ca_file: certificate authority to trust besides the system's.
    """

    url: str
    credential: "AsyncTokenCredential | str"
    containers: Containers
    blobs: str = ""
    regions: Sequence[str] = ()
    make: bool = False
    ca_file: str | None = None

    def __post_init__(self) -> None:
        for url in filter(None, (self.url, self.blobs)):
            if urlsplit(url).scheme != "https" and not isinstance(self.credential, str):
                raise Defect("A store that takes tokens must have an https URL.", code="defect.settings")


@asynccontextmanager
async def open_database(account: Account, calls: Calls) -> AsyncGenerator["DatabaseProxy"]:
    """Open the client; its own retries are off, for `calls` is the one layer that retries.

    Without regions the SDK looks for none, and everything goes to the account's own address.
    """
    policy = ConnectionPolicy()
    policy.RetryOptions = type(policy.RetryOptions)(max_retry_attempt_count=0)
    parts = urlsplit(account.url)
    client = CosmosClient(
        f"{parts.scheme}://{parts.netloc}/",
        account.credential,
        connection_policy=policy,
        retry_total=0,
        enable_endpoint_discovery=bool(account.regions),
        preferred_locations=list(account.regions),
        connection_timeout=CONNECT_SECONDS,
        read_timeout=ATTEMPT_SECONDS,
        raw_response_hook=count_response,
    )
    name = parts.path.strip("/") or DATABASE
    opening = Operation("open", "account", PUBLISHER)
    try:
        await calls.run(opening, client.__aenter__)  # learns the account's consistency, so that sessions hold
        database = client.get_database_client(name)
        if account.make:
            await calls.run(opening, lambda: make_all(client, name, account.containers))
        yield database
    finally:
        await client.close()


@asynccontextmanager
async def open_blobs(account: Account, calls: Calls) -> AsyncGenerator["ContainerClient"]:
    """Open the storage account's container for content, with the SDK's own retries off."""
    client = BlobServiceClient(
        account.blobs,
        account.credential,
        retry_total=0,
        connection_timeout=CONNECT_SECONDS,
        read_timeout=ATTEMPT_SECONDS,
        max_single_put_size=BLOCK_BYTES,
        max_block_size=BLOCK_BYTES,
        connection_verify=account.ca_file or True,
    )
    async with client:
        container = client.get_container_client(BLOB_CONTAINER)
        if account.make:
            await calls.run(Operation("open", BLOBS, PUBLISHER), lambda: _make(container))
        yield container


async def _make(container: "ContainerClient") -> None:
    try:
        await container.create_container()
    except ResourceExistsError:
        return
