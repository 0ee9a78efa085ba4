"""The one seam through which anything reaches a span, a metric or a log line.

Only the attributes declared here pass, only with the declared type, and text only if it looks like a name: no spaces,
no `@`, not long. Whatever people, documents, models or tools say does not fit through. In `local` a misfit is a
`Defect`, so that a test finds it; anywhere else it is dropped.
"""

import re
from collections.abc import Mapping
from typing import TypedDict

from core.errors import Defect

Value = str | int | float | tuple[str, ...]


class Attributes(TypedDict, total=False):
    """What may be said, by keyword. `NAMES` has the names that leave the process."""

    # GenAI semantic conventions
    operation: str
    provider: str
    agent: str
    agent_version: str
    request_model: str
    response_model: str
    max_tokens: int
    finish_reason: str
    input_tokens: int
    output_tokens: int
    token_type: str
    first_token_seconds: float
    tool: str
    # general semantic conventions
    error_type: str
    method: str
    route: str
    status: int
    server: str
    store_operation: str
    store_container: str
    # ours
    run: str
    step: int
    call: int
    attempt: int
    kind: str
    state: str
    lane: str
    policy: str
    effect: str
    outcome: str
    code: str
    collection: str
    count: int
    bytes: int
    port: int
    service: str
    version: str
    duration_ms: int


NAMES: Mapping[str, str] = {
    "operation": "gen_ai.operation.name",
    "provider": "gen_ai.provider.name",
    "agent": "gen_ai.agent.id",
    "agent_version": "gen_ai.agent.version",
    "request_model": "gen_ai.request.model",
    "response_model": "gen_ai.response.model",
    "max_tokens": "gen_ai.request.max_tokens",
    "finish_reason": "gen_ai.response.finish_reasons",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "token_type": "gen_ai.token.type",
    "first_token_seconds": "gen_ai.response.time_to_first_chunk",
    "tool": "gen_ai.tool.name",
    "error_type": "error.type",
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
    "server": "server.address",
    "store_operation": "db.operation.name",
    "store_container": "db.collection.name",
    "port": "server.port",
    "service": "service.name",
    "version": "service.version",
} | {
    name: f"mandate.{name}"
    for name in (
        *("run", "step", "call", "attempt", "kind", "state", "lane", "policy", "effect", "outcome", "code"),
        *("collection", "count", "bytes", "duration_ms"),
    )
}

_TYPES: Mapping[str, type] = {name: Attributes.__annotations__[name] for name in NAMES}
_TEXT = re.compile(r"[A-Za-z0-9_.:/{}+\-]{0,120}")
_NAME = re.compile(r"[A-Za-z_.]{1,60}( [A-Za-z0-9_.:/{}+\-]{1,120})?")


def passed(attributes: Mapping[str, object], *, strict: bool) -> dict[str, Value]:
    """Return those `attributes` that may leave, under the names that they have outside.

    Raises:
        Defect: something may not, and `strict`.
    """
    out: dict[str, Value] = {}
    for name, value in attributes.items():
        if fitting := _fitting(name, value):
            out[NAMES[name]] = fitting[0]
        elif strict:
            raise Defect(f"Telemetry was given what may not leave: {name[:40]}", code="defect.telemetry")
    return out


def passed_name(name: str, *, strict: bool) -> str:
    """Return a span's name if it is one or two words of a fixed kind, such as `POST /v1/runs/{run}`."""
    if _NAME.fullmatch(name):
        return name
    if strict:
        raise Defect("A span's name is not a name.", code="defect.telemetry")
    return "unnamed"


def _fitting(name: str, value: object) -> tuple[Value] | None:
    declared = _TYPES.get(name)
    if declared is str:
        if not isinstance(value, str) or not _TEXT.fullmatch(value):
            return None
        return ((str(value),),) if name == "finish_reason" else (str(value),)  # the conventions want a list of one
    if declared is float and isinstance(value, int | float) and not isinstance(value, bool):
        return (float(value),)
    if declared is int and isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    return None
