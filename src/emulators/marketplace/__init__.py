"""Microsoft's marketplace, for local use and for tests: who sells there sees what they would see of it.

It keeps subscriptions, operations and usage in one file, and does not forgive what the real one would not: a token of
another application gives 403, a landing token lasts a day, an event older than a day is expired, one event for each
resource, dimension and hour is accepted.

Routes:

- `/api/saas/subscriptions...`, `/api/usageEvent`, `/api/batchUsageEvent`, `/api/usageEvents`: with the publisher's
  bearer token and `api-version=2018-08-31`, as the pages named in `fulfillment`, `api` and `metering` describe them;
- `/shop`: a page on which one is the customer;
- `/arm/subscriptions/...`: managed applications, as Azure Resource Manager has them, see `managed`;
- `POST /faults`: what shall go wrong, see `Faults`.

Webhooks carry a token of the identity emulator that looks as Entra's do, and are sent again until they are taken.
"""

from emulators.marketplace.app import API_VERSION, Authorize, create_app
from emulators.marketplace.catalogue import Catalogue, load_catalogue
from emulators.marketplace.faults import Faults

__all__ = ["API_VERSION", "Authorize", "Catalogue", "Faults", "create_app", "load_catalogue"]
