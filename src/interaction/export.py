"""A run's evidence as a file that anybody can check without us: JSON Lines, described in `docs/api.md`."""

import base64
from collections.abc import Mapping, Sequence

import orjson

from core import GENESIS, RunId, TenantId
from data import RawEvent

SCHEMA = "mandate.run-export.1"


def export_of(tenant: TenantId, run: RunId, events: Sequence[RawEvent]) -> str:
    """Return the file: a header, then one line for each event as it is on disk, whether or not the chain holds."""
    header = {
        "schema": SCHEMA,
        "tenant": tenant,
        "run": run,
        "events": len(events),
        "head": events[-1].hash if events else GENESIS,
        "hash": "sha256",
        "genesis": GENESIS,
    }
    lines = [header, *(_line(event) for event in events)]
    return "".join(f"{orjson.dumps(line).decode()}\n" for line in lines)


def _line(event: RawEvent) -> Mapping[str, str | int]:
    """Return an event's bytes as text, so that they come through unchanged; as base64 if somebody made them no text."""
    try:
        return {"seq": event.seq, "hash": event.hash, "data": event.data.decode()}
    except UnicodeDecodeError:
        return {"seq": event.seq, "hash": event.hash, "base64": base64.b64encode(event.data).decode()}
