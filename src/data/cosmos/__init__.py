"""The store on Azure Cosmos DB and Blob Storage: for production."""

from data.cosmos.account import Account
from data.cosmos.containers import Containers
from data.cosmos.store import CosmosStore, open_store
from data.cosmos.usage import Usage

__all__ = ["Account", "Containers", "CosmosStore", "Usage", "open_store"]
