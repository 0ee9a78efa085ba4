"""Azure Cosmos DB for NoSQL, for local use and for tests: what the unmodified `azure-cosmos` SDK needs, and strict.

Microsoft's documents name the rules, and so do "facts": what was found out about the SDK and the service by reading and
by measuring, kept in `docs/decisions/0019-cosmos-emulator.md`.
"""

from emulators.cosmos.app import Authorize, CosmosEmulator
from emulators.cosmos.faults import Fault
from emulators.cosmos.server import DroppingProtocol, Running, open_emulator

__all__ = ["Authorize", "CosmosEmulator", "DroppingProtocol", "Fault", "Running", "open_emulator"]
