"""What the publisher's own people ask of the control plane: each call is theirs, in the publisher's tenant."""

from datetime import timedelta

import orjson

from core import TenantContext
from interaction.dependencies import InteractionDependencies

_SECONDS = timedelta(seconds=30)

Answer = dict[str, object]


async def ask(me: TenantContext, deps: InteractionDependencies, method: str, path: str, body: object = None) -> Answer:
    """Return what the control plane answers, an object; empty where it has nothing to say.

    Raises:
        MandateError: what it refuses with.
    """
    sent = b"" if body is None else orjson.dumps(body)
    raw = await deps.control.call(me, method, path, body=sent, deadline=deps.clock.now() + _SECONDS)
    return orjson.loads(raw) if raw else {}
