"""For whom a tool is called."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from core import PrincipalId, RunId, TenantId, derived_id


@dataclass(frozen=True, slots=True)
class Caller:
    """Comes from the run; nothing of it is ever offered to a model or read from what one wrote.

    Attributes:
        deadline: the run's; a tool ends no later.
        held: whether this process still holds the run; asked at the last moment before anything is sent.
    """

    tenant: TenantId
    run: RunId
    on_behalf_of: PrincipalId
    correlation: str
    idempotency_key: str
    deadline: datetime
    held: Callable[[], bool]


def idempotency_key(run: RunId, step: int, call: int, arguments: str) -> str:
    """Return the one key of this call of this run: a call that is made again carries the same.

    Args:
        run: the run.
        step: the step in it.
        call: the call's number in the step.
        arguments: the keyed commitment of the canonical arguments, as the run log holds it. Not their plain hash:
            the key is written to events, and from an unkeyed hash erased content could be guessed back.
    """
    return derived_id("idem", run, str(step), str(call), arguments)
