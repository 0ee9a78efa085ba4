"""What happens outside of any turn: access that was refused, and what administrators do."""

from typing import Literal

from core.content import ContentRef
from core.parts import Part

ChangeCause = (
    Literal["told", "landed", "activated", "drift", "refused", "term_ends", ""]
    | Literal["ordered", "unheard"]
    | Literal["act.activate", "act.change", "act.fix", "act.release", "act.notify", "act.off", "act.on"]
)
"""Why a record was changed: empty where that is plain; `act.` is what one of the publisher's people did; `ordered` is,
in a stamp at a customer's, what the publisher's control plane said, and `unheard` that it said nothing for too long."""


class AccessRefused(Part):
    """Refused access is evidence too; equal refusals within a moment are counted in one event."""

    type: Literal["access_refused"] = "access_refused"
    code: str
    operation: str
    """The route's template and method, never the address that was asked for."""
    count: int = 1


class RecordChanged(Part):
    """An administrative act: what the record is now can be read there; who, when and in what words why is here."""

    type: Literal["record_changed"] = "record_changed"
    kind: str
    key: str
    version: str
    cause: ChangeCause = ""
    reason: ContentRef | None = None
