"""A run's evidence as a file that anybody can check without us: JSON Lines, described in `docs/api.md`."""

import base64
from collections.abc import Mapping, Sequence

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from core import GENESIS, Names, RunId, TenantId, renamed
from core.events import Stored
from data.checkpoint_checks import Inclusion
from data.ports import RawEvent
from data.signatures import PublicKey

SCHEMA = "mandate.run-export.1"


class RunHeader(BaseModel):
    """The first line.

    Attributes:
        names: in an archive only: what the sealed names of this run say.
        covered: not in an organisation's archive, which has all checkpoints: the last one, and that it covers the run.
        keys: not in an archive, which has them in its seal: the public keys.
    """

    model_config = ConfigDict(frozen=True)

    tenant: TenantId
    run: RunId
    events: int
    head: str
    names: dict[str, str] = {}
    covered: Inclusion | None = None
    keys: tuple[PublicKey, ...] = ()


class EventLine(BaseModel):
    """One event: its bytes as text, so that they come through unchanged; as base64 if somebody made them no text."""

    model_config = ConfigDict(frozen=True)

    seq: int
    hash: str
    data: str | None = None
    base64: str | None = None

    @property
    def raw(self) -> RawEvent:
        data = base64.b64decode(self.base64 or "") if self.data is None else self.data.encode()
        return RawEvent(self.seq, data, self.hash)


def export_of(
    tenant: TenantId,
    run: RunId,
    events: Sequence[RawEvent],
    names: Names | None = None,
    *,
    covered: Inclusion | None = None,
    keys: Sequence[PublicKey] = (),
) -> str:
    """Return the file: a header, then one line for each event as it is on disk, whether or not the chain holds.

    With `names` the header says what the names that are sealed in these events are.
    """
    header = {
        "schema": SCHEMA,
        "tenant": tenant,
        "run": run,
        "events": len(events),
        "head": events[-1].hash if events else GENESIS,
        "hash": "sha256",
        "genesis": GENESIS,
        **({"names": _opened(events, names)} if names else {}),
        **({"covered": covered.model_dump()} if covered else {}),
        **({"keys": [key.model_dump() for key in keys]} if keys else {}),
    }
    lines = [header, *(_line(event) for event in events)]
    return "".join(f"{orjson.dumps(line).decode()}\n" for line in lines)


def _line(event: RawEvent) -> Mapping[str, str | int]:
    try:
        return {"seq": event.seq, "hash": event.hash, "data": event.data.decode()}
    except UnicodeDecodeError:
        return {"seq": event.seq, "hash": event.hash, "base64": base64.b64encode(event.data).decode()}


def _opened(events: Sequence[RawEvent], names: Names) -> dict[str, str]:
    opened: dict[str, str] = {}

    def note(sealed: str) -> str:
        if (name := names.open(sealed)) != sealed:
            opened[sealed] = name
        return sealed

    for raw in events:
        try:
            renamed(Stored.parse(raw.data).event, note)
        except ValidationError:
            continue  # no event of ours any more: the verification names it
    return opened
