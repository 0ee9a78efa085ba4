"""A customer's back office, for local use and for tests: the system that an agent's tools act upon.

It keeps customers, orders and tickets for each tenant, and writes down every write that reaches it, on disk before it
answers. It does not deduplicate: whether a tool acted at most once is what its journal is there to show.

Routes, all with a bearer token and, but for the faults, the header `x-mandate-tenant`:

- `GET /orders/{id}`, `GET /customers/{id}`, `DELETE /customers/{id}`, `POST /tickets`, `POST /refunds`,
  `POST /emails`;
- `GET /effects`: the writes that reached it, in order, those it turned down (`outcome` is `refused`) included;
- `POST /faults`, `DELETE /faults`: what shall go wrong with the calls that follow; the header `x-mandate-fault` takes
  the same JSON for one call.

Writes may carry `idempotency-key` and `x-mandate-run`; both are recorded. `GET /healthz` needs neither.
"""

from emulators.backoffice.app import Authorize, create_app
from emulators.backoffice.seed import BackofficeSeed, load_seed

__all__ = ["Authorize", "BackofficeSeed", "create_app", "load_seed"]
