"""Which store the whole product has in the tests: `MANDATE_TESTS_STORE=cosmos` puts it on the emulator of Cosmos DB."""

import os
from typing import cast

from mandate.local.stack import StoreKind

STORE = cast("StoreKind", os.environ.get("MANDATE_TESTS_STORE", "sqlite"))
