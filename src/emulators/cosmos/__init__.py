"""Azure Cosmos DB for NoSQL, for local use and for tests: what the unmodified `azure-cosmos` SDK needs, and strict.

"Rule 5" and the like are sections of `docs/cosmos-emulator.md`, where the protocol is written down. Why there is an
emulator of our own: `docs/decisions/0019-cosmos-emulator.md`.
"""

from emulators.cosmos.app import Authorize, CosmosEmulator
from emulators.cosmos.faults import Fault
from emulators.cosmos.server import DroppingProtocol, Running, open_emulator

__all__ = ["Authorize", "CosmosEmulator", "DroppingProtocol", "Fault", "Running", "open_emulator"]
