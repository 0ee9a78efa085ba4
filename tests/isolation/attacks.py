"""What somebody of one tenant can try against another, for every operation: requests made from its description."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from operations import CURSORS, ETAGS, EVENT_NUMBERS, KEYS, Operation, Parameter, Request

from core import derived_id

SMUGGLED = ("tenant", "tenant_id", "x-tenant-id")
SMUGGLED_HEADERS = (
    "X-Tenant-Id",
    "X-Tenant",
    "Tenant-Id",
    "X-MS-Client-Principal-Id",
    "X-Mandate-Tenant",
    "Mandate-Tenant",
)


@dataclass(frozen=True)
class Supply:
    """What one tenant has, by what it is an id of.

    Attributes:
        cursors: that its lists gave.
        etags: of what it has.
        keys: idempotency keys that it used.
    """

    tenant: str
    ids: Mapping[str, Sequence[str]]
    cursors: Sequence[str]
    etags: Sequence[str]
    keys: Sequence[str]


@dataclass(frozen=True)
class Attack:
    """Attributes:
    kind: what is tried, such as `path id`.
    control: the same for what nobody has, if the two must look the same.
    sent: ids that stand in either.
    """

    kind: str
    operation: Operation
    request: Request
    control: Request | None = None
    sent: tuple[str, ...] = ()

    @property
    def must_be_404(self) -> bool:
        """Whether a thing is named that is there, and only not the attacker's; a collection can be made anew."""
        return self.kind.startswith("path id") and not self.operation.makes

    @property
    def refusals(self) -> tuple[int, ...]:
        """What it may be answered: 403 where it is the publisher's alone, 422 to a form that lacks fields."""
        if self.operation.service == "control":
            return (403, 404)
        unseen = self.operation.method == "POST" and not self.operation.bodies and len(self.operation.form) == 1
        return (404, 422) if unseen else (404,)


def attacks(operation: Operation, own: Supply, foreign: Supply, numbers: Iterator[int]) -> Iterator[Attack]:
    """Yield everything that is tried with the attacker's own credentials; `numbers` make ids that nobody has."""
    for media_type in operation.bodies or ("",):
        yield from _with_ids(operation, media_type, own, foreign, numbers)
        yield from _with_values(operation, media_type, own, foreign)
        yield from _smuggled(operation, media_type, foreign, numbers)
        if operation.streams:
            yield from map(_streamed, _with_ids(operation, media_type, own, foreign, numbers))
            yield from map(_streamed, _with_values(operation, media_type, own, foreign))


def _streamed(attack: Attack) -> Attack:
    """Return the same attack by somebody who wants to see it as a stream."""
    request, control = (
        asked and asked.with_headers(Accept="text/event-stream") for asked in (attack.request, attack.control)
    )
    assert request
    return replace(attack, kind=f"{attack.kind}, streamed", request=request, control=control)


def nobodys(id_of: str, number: int) -> str:
    """Return an id that fits and that nothing has."""
    if id_of == "passage":
        return f"{nobodys('doc', number)}.0"
    return f"nothing-{number}" if id_of in ("collection", "group") else derived_id(id_of, "nobody", str(number))


def _with_ids(
    operation: Operation, media_type: str, own: Supply, foreign: Supply, numbers: Iterator[int]
) -> Iterator[Attack]:
    ids = [parameter for parameter in operation.parameters if parameter.id_of]
    paths = [parameter for parameter in ids if parameter.place == "path"]
    etags = [parameter for parameter in operation.parameters if parameter.name.lower() in ETAGS]
    mine = {p: own.ids[str(p.id_of)][0] for p in paths}
    for attacked in [*([p] for p in ids), *([paths] if len(paths) > 1 else ())]:
        kind = f"{attacked[0].place} id"
        for number in range(max(len(foreign.ids[str(p.id_of)]) for p in attacked)):
            for extra in [*(dict.fromkeys(etags, etag) for etag in foreign.etags[:1] if etags), dict[Parameter, str]()]:
                theirs = {p: _chosen(foreign.ids[str(p.id_of)], number) for p in attacked}
                nothing = {p: nobodys(str(p.id_of), next(numbers)) for p in attacked}
                yield Attack(
                    f"{kind} and ETag" if extra else kind,
                    operation,
                    operation.request({**mine, **extra, **theirs}, media_type),
                    operation.request({**mine, **extra, **nothing}, media_type),
                    (*theirs.values(), *nothing.values(), *mine.values()),
                )


def _chosen(values: Sequence[str], number: int) -> str:
    return values[number % len(values)]


def _with_values(operation: Operation, media_type: str, own: Supply, foreign: Supply) -> Iterator[Attack]:
    """Yield the attacks with another's cursor, event number, idempotency key or ETag, on what is one's own."""
    mine = {p: own.ids[str(p.id_of)][0] for p in operation.parameters if p.id_of and p.place == "path"}
    for parameter in operation.parameters:
        for kind, values in _values_for(parameter, foreign):
            for value in values:
                yield Attack(kind, operation, operation.request({**mine, parameter: value}, media_type))


def _values_for(parameter: Parameter, foreign: Supply) -> Iterator[tuple[str, Sequence[str]]]:
    name = parameter.name.lower()
    if name in CURSORS:
        yield "cursor", foreign.cursors
    elif name in KEYS:
        yield "idempotency key", foreign.keys
    elif parameter.mints_run:
        yield "run id for a new run", foreign.ids["run"]
    elif name in ETAGS:
        yield "ETag", foreign.etags
    elif name in EVENT_NUMBERS:
        yield "event number", ("1", "999")


def _smuggled(operation: Operation, media_type: str, foreign: Supply, numbers: Iterator[int]) -> Iterator[Attack]:
    """Yield the attacks that name the other tenant beside what is asked; the asked thing is nobody's."""

    def plain() -> Request:
        nothing = {
            p: nobodys(str(p.id_of), next(numbers)) for p in operation.parameters if p.id_of and p.place == "path"
        }
        return operation.request(nothing, media_type)

    headers = dict.fromkeys(SMUGGLED_HEADERS, foreign.tenant)
    yield Attack("tenant in headers", operation, plain().with_headers(**headers), plain())
    for name in SMUGGLED:
        yield Attack("tenant in query", operation, plain().with_query(**{name: foreign.tenant}))
    if media_type == "application/json":
        asked = plain()
        body: dict[str, Any] = {**orjson.loads(asked.body), **dict.fromkeys(SMUGGLED, foreign.tenant)}
        yield Attack("tenant in body", operation, replace(asked, body=orjson.dumps(body)))
