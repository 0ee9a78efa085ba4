"""Faults that a client or an end-to-end test can order, so that failure paths are exercised for real."""

import hashlib
import math
import re
from dataclasses import dataclass, replace

from core.errors import BadRequest

_LONGEST_STALL = 600.0
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Fault:
    """What shall go wrong with one request; the default is nothing.

    Attributes:
        status: answer with this 4xx or 5xx.
        retry_after: answer 429 and name these seconds to wait.
        stall: wait these seconds before the first byte.
        stall_mid: wait these seconds after the first words.
        drop: cut the connection in the middle of the answer.
        malformed_tools: propose calls that cannot be carried out.
        hostile: obey whatever text in the context orders something.
        once: only the first request with this fault and the same body is hit.
        only: `chat` or `embeddings`; empty for both.
    """

    status: int = 0
    retry_after: float | None = None
    stall: float = 0.0
    stall_mid: float = 0.0
    drop: bool = False
    malformed_tools: bool = False
    hostile: bool = False
    once: bool = False
    only: str = ""


NONE = Fault()


def parse_fault(text: str) -> Fault:
    """Parse a comma separated list such as `stall=2,status=503,once`.

    Raises:
        BadRequest: a part is not known or its value is out of range.
    """
    fault = Fault()
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        fault = replace(fault, **_setting(name, value))
    return fault


def _setting(name: str, value: str) -> dict[str, bool | int | float | str]:
    field = name.replace("-", "_")
    match field:
        case "status":
            return {"status": _status(value)}
        case "429":
            return {"retry_after": _seconds(name, value)}
        case "stall" | "stall_mid":
            return {field: _seconds(name, value)}
        case "only" if value in ("chat", "embeddings"):
            return {"only": value}
        case "drop" | "malformed_tools" | "hostile" | "once" if not value:
            return {field: True}
        case _:
            known = "status=, 429=, stall=, stall-mid=, drop, malformed-tools, hostile, once, only=chat|embeddings"
            raise BadRequest(f"A fault is not known. Known are: {known}.")


def _status(value: str) -> int:
    if not re.fullmatch("[45][0-9][0-9]", value):
        raise BadRequest("The fault `status` takes a status from 400 to 599.")
    return int(value)


def _seconds(name: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _LONGEST_STALL:
        raise BadRequest(f"The fault `{name}` takes seconds from 0 to {_LONGEST_STALL:.0f}.")
    return seconds


class Faults:
    """The faults in force: those of the process, unless a request names its own."""

    def __init__(self) -> None:
        self._standing = ""
        self._hit: set[bytes] = set()

    def set(self, text: str) -> None:
        """Put `text` in force for every request that names no fault; empty ends it."""
        parse_fault(text)
        self._standing = text
        self._hit.clear()

    def take(self, header: str, body: bytes, *, kind: str) -> Fault:
        """Return what shall go wrong with a request of `kind` (`chat` or `embeddings`)."""
        text = header or self._standing
        fault = parse_fault(text) if text else NONE
        if fault.only and fault.only != kind:
            return NONE
        if fault.once:
            key = hashlib.sha256(text.encode() + b"\n" + body).digest()
            if key in self._hit:
                return NONE
            if len(self._hit) >= _MOST_REMEMBERED:
                self._hit.clear()
            self._hit.add(key)
        return fault
