"""What each store checks before it writes and after it reads: whether events and content are what they say they are."""

import hmac
from collections.abc import Sequence

from pydantic import ValidationError

from core import PUBLISHER, ContentRef, TenantId, commitment
from core.errors import Defect, PreconditionFailed, TooLarge
from core.events import Stored
from data.ports import MAX_APPEND_BYTES, MAX_APPEND_EVENTS, Seen

SHARED = (PUBLISHER, "switches")
"""The one kind of record of another tenant on which an append may rest: it is about everybody."""


def parse(data: bytes, expected_hash: str) -> Stored:
    """Read a stored event back.

    Raises:
        Defect: the bytes are not those that were written (code `defect.chain`).
    """
    try:
        stored = Stored.parse(data)
    except ValidationError:
        stored = None  # its message would quote the bytes
    if stored is None or stored.hash != expected_hash:
        raise Defect("A stored event has been changed; verify the evidence to see which.", code="defect.chain")
    return stored


def check_append(events: Sequence[Stored], tenant: TenantId, resting_on: Sequence[Seen] = ()) -> None:
    """Let through what may be one append of `tenant`.

    Raises:
        Defect: the events are none, another tenant's, or do not follow one another (`defect.append`, `defect.tenant`);
            or they are to rest on a record that is not this tenant's to know of.
        TooLarge: there are too many.
    """
    if any(seen.tenant != tenant and (seen.tenant, seen.kind) != SHARED for seen in resting_on):
        raise Defect("A record of another tenant was asked after.", code="defect.tenant")
    if not events:
        raise Defect("An append needs an event.", code="defect.append")
    if len(events) > MAX_APPEND_EVENTS or sum(len(stored.data) for stored in events) > MAX_APPEND_BYTES:
        raise TooLarge(f"At most {MAX_APPEND_EVENTS} events and {MAX_APPEND_BYTES} bytes go into one append.")
    previous = None
    for stored in events:
        event = stored.event
        if event.tenant != tenant:
            raise Defect("An event of another tenant was refused.", code="defect.tenant")
        if previous and (event.run, event.seq, event.prev) != (
            previous.event.run,
            previous.event.seq + 1,
            previous.hash,
        ):
            raise Defect("The events of an append must follow one another in one run.", code="defect.append")
        previous = stored


def check_seen(resting_on: Sequence[Seen], etags: Sequence[str | None]) -> None:
    """Let through what was seen with the `etags` that it has now; raises `PreconditionFailed`."""
    if [seen.etag for seen in resting_on] != list(etags):
        raise PreconditionFailed("What this rests on was changed by somebody else; read it again and repeat this.")


def commits(ref: ContentRef, key: bytes, data: bytes) -> bool:
    """Return whether `ref` commits to `data` under `key`."""
    return hmac.compare_digest(commitment(key, data), ref.commitment)


def may_be_refused(events: Sequence[Stored]) -> bool:
    """Return whether a tenant that is being erased does not get these any more: it gets what ends a run only."""
    return any(stored.event.body.type not in ("run_ended", "record_changed") for stored in events)
