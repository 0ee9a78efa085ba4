"""`environments/containers.yaml`: what containers there are. On a laptop they are made from it, elsewhere by Bicep."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml
from azure.cosmos import PartitionKey
from azure.cosmos.exceptions import CosmosResourceExistsError, CosmosResourceNotFoundError

from core.errors import Defect

if TYPE_CHECKING:
    from azure.cosmos.aio import CosmosClient, DatabaseProxy

NAMES = frozenset({"events", "content", "records", "views", "passages"})


@dataclass(frozen=True, slots=True)
class Containers:
    """The containers by name, each as Azure's resource has it."""

    declared: Mapping[str, Mapping[str, Any]]

    @classmethod
    def load(cls, environments: Path) -> Self:
        """Read the file.

        Raises:
            Defect: it lacks a container, or a container's key does not begin with the tenant.
        """
        entries: list[dict[str, Any]] = yaml.safe_load((environments / "containers.yaml").read_text())["containers"]
        declared = {str(entry["id"]): entry for entry in entries}
        if declared.keys() != NAMES:
            raise Defect("containers.yaml does not declare the containers that the store has.", code="defect.settings")
        for entry in entries:
            first, *_, last = entry["partitionKey"]["paths"]
            if first != "/tenant" or last == "/id":
                raise Defect("A container's key must begin with /tenant and not end in /id.", code="defect.settings")
        return cls(declared)

    @property
    def dimensions(self) -> int:
        """Of the vectors that are compared."""
        (embedding,) = self.declared["passages"]["vectorEmbeddingPolicy"]["vectorEmbeddings"]
        return int(embedding["dimensions"])


async def make_all(client: "CosmosClient", name: str, containers: Containers) -> None:
    """Make the database and the containers that are not there; other processes may be doing the same."""
    database = client.get_database_client(name)
    try:
        await database.read()
    except CosmosResourceNotFoundError:
        await _made(client.create_database(name))
    for declared in containers.declared.values():
        await _make(database, declared)


async def _make(database: "DatabaseProxy", declared: Mapping[str, Any]) -> None:
    try:
        await database.get_container_client(declared["id"]).read()
    except CosmosResourceNotFoundError:
        key = declared["partitionKey"]
        await _made(
            database.create_container(
                declared["id"],
                PartitionKey(path=key["paths"], kind=key["kind"], version=key["version"]),
                indexing_policy=declared["indexingPolicy"],
                default_ttl=declared["defaultTtl"],
                vector_embedding_policy=declared.get("vectorEmbeddingPolicy"),
                full_text_policy=declared.get("fullTextPolicy"),
            )
        )


async def _made(making: "Awaitable[object]") -> None:
    try:
        await making
    except CosmosResourceExistsError:
        return  # another process was faster
