"""Every operation of an OpenAPI document, which of its parameters are ids, and a request that it would accept."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast
from urllib.parse import quote, urlencode

import orjson
from two_tenants import SHARED

Schema = Mapping[str, Any]
Place = Literal["path", "query", "header", "body"]

IDS = {
    "run": "run",
    "replaces": "run",
    "conversation": "cnv",
    "mandate-conversation": "cnv",
    "approval": "apr",
    "flag": "flg",
    "document": "doc",
    "passage": "passage",
    "response": "resp",
    "previous_response_id": "resp",
    "collection": "collection",
    "collections": "collection",
    "readers": "group",
    "person": "prn",
    "approver": "prn",
    "deputy": "prn",
    "erasure": "era",
    "hold": "hld",
    "ruleset": "ruleset",
    "target": "run",
    "tenant": "ten",
    "customer": "ten",
}
"""Names of parameters that are ids of something of a tenant's, and of what."""

CURSORS = frozenset({"cursor", "list", "uses"})
EVENT_NUMBERS = frozenset({"after", "last-event-id", "passage_number"})
KEYS = frozenset({"idempotency-key", "key"})
ETAGS = frozenset({"if-match", "if-none-match"})

NO_IDS = {
    "agent": "agents are the publisher's, the same for all",
    "model": "an agent, by the name that OpenAI's clients give it",
    "name": "an agent, a file of the console, or what a person calls something",
    "version": "of the console's files",
    "prefer": "how to answer",
    "by": "what usage is summed by",
    "from": "a day",
    "to": "a day",
    **dict.fromkeys(("since", "until", "first", "last"), "a time"),
    "code": "of a sign-in",
    "state": "of a sign-in, or one of a few words",
    "error": "of a sign-in",
    "return_to": "a path",
    "reference": "the publisher's own, in an endpoint for the publisher alone",
    "plan": "what is bought",
    **dict.fromkeys(("resource", "unit", "hour"), "of what is billed, in an endpoint for the publisher alone"),
    **dict.fromkeys(("features", "models"), "of a plan: what is sold, the same for all"),
    "region": "a place",
    "stamp": "a deployment",
    "tid": "of Entra, in an endpoint for the publisher alone",
    "oid": "of Entra, in an endpoint for the publisher alone",
    "token": "of the marketplace's, which the edge alone may bring",
    "sig": "a secret of the platform's, which leads to no tenant",
    "puid": "of Entra, which the edge alone may bring",
    "contact": "an e-mail address, which is kept and looked up nowhere",
    "subscription": "of the marketplace's, in an endpoint for the publisher alone",
    "secret": "of somebody on the landing page, which the edge alone may bring",
    "title": "a person's words",
    "confirm": "what a person types again, to be sure",
    "policy": "a rule's name, which is looked for in the caller's own log",
    "manifest": "a hash, in an endpoint that signs it for the caller's own organisation",
    "purpose": "a person's words",
    "text": "a person's words",
    "message": "a person's words",
    "reason": "a person's words",
    "act": "what to do with a draft",
    "facts": "of a question that is asked by hand",
    "days": "how far to look back",
    "etag": "of the policies that a page showed, which the write compares",
    "input": "a person's words",
    "content": "a person's words",
    "refusal": "a person's words",
    "instructions": "a person's words",
    "file": "bytes",
    "client": "of an app in the organisation's Entra ID, looked for among its own",
    "through": "what the edge found of an app, written down and looked up nowhere",
    "proof": "a token of the organisation's Entra ID",
    "of": "whether an archive is the organisation's or one's own",
    "endpoint": "of an index that the customer keeps: a host that is checked against the list of those allowed",
    "index": "of such an endpoint, which knows its own callers",
    **dict.fromkeys(("key", "heading", "vector", "groups", "confidentiality"), "a field of such an index"),
    "media_type": "of bytes",
    "entra_object_id": "kept as a reference, and looked up nowhere",
    **dict.fromkeys(("tools", "search_in"), "of an agent's manifest: the publisher's, the same for all"),
    "id": "of what an OpenAI client quotes, but for a conversation's",
    "role": "who is quoted",
    "type": "of what is quoted",
    "status": "of what is quoted",
    "ring": "of the publisher's settings, in an endpoint for the publisher alone",
    "start": "a time of day",
}
"""Names of parameters that are free text and name nothing of a tenant's, and why."""


@dataclass(frozen=True)
class Parameter:
    """One value that a caller can choose. `path` leads to it in a body."""

    place: Place
    name: str
    schema: Schema
    required: bool
    path: tuple[str | int, ...] = ()

    @property
    def id_of(self) -> str | None:
        """What this is an id of; None if it is none."""
        if self.mints_run:
            return None
        parent = next((part for part in reversed(self.path[:-1]) if isinstance(part, str)), "")
        name = parent if self.name == "id" and parent in IDS else self.name
        return IDS.get(name.lower())

    @property
    def mints_run(self) -> bool:
        """Whether this is the id that a new run gets: good in the caller's tenant, as an idempotency key is."""
        return self.place == "body" and self.name == "run"

    @property
    def explained(self) -> bool:
        """Whether it is known what this is: an id, or certainly none."""
        name = self.name.lower()
        choices = [*self.schema.get("anyOf", ()), self.schema]
        closed = all({"enum", "const", "anyOf"} & choice.keys() for choice in choices)
        plain = self.schema.get("type") in ("boolean", "integer", "number", "null")
        known = name in IDS or name in CURSORS | KEYS | ETAGS | EVENT_NUMBERS or name in NO_IDS
        return closed or plain or known


@dataclass(frozen=True)
class Request:
    """One request, to be sent as it is."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @property
    def target(self) -> str:
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    def with_query(self, **more: str) -> "Request":
        return replace(self, query={**self.query, **more})

    def with_headers(self, **more: str) -> "Request":
        return replace(self, headers={**self.headers, **{k.replace("_", "-"): v for k, v in more.items()}})


@dataclass(frozen=True)
class Operation:
    """Attributes:
    bodies: the schema of what it takes, by media type.
    streams: whether it can answer with an event stream.
    form: the fields that a page of the console sends.
    """

    service: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    bodies: Mapping[str, Schema]
    streams: bool = False
    form: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def makes(self) -> bool:
        """Whether it makes a thing under the id that is given: then that id is the attacker's own."""
        return self.method == "PUT"

    def request(self, values: Mapping[Parameter, str], media_type: str = "") -> Request:
        """Return the request with `values`, and for the rest the first that fits the schema."""
        chosen = {
            parameter: values.get(parameter, "")
            for parameter in self.parameters
            if parameter in values or (parameter.required and parameter.place != "body")
        }
        path, query, headers = self.path, dict[str, str](), dict[str, str]()
        for parameter, given in chosen.items():
            value = given or str(sample(parameter.schema, parameter.name))
            if parameter.place == "path":
                path = path.replace(f"{{{parameter.name}}}", quote(value, safe=""))
            elif parameter.place == "query":
                query[parameter.name] = value
            elif parameter.place == "header":
                headers[parameter.name] = value
        body, sent_as = self._body({p: v for p, v in chosen.items() if p.place == "body"}, media_type)
        return Request(self.method, path, query, headers | sent_as, body)

    def _body(self, values: Mapping[Parameter, str], media_type: str) -> tuple[bytes, dict[str, str]]:
        media_type = media_type or next(iter(self.bodies), "")
        if not media_type:
            return urlencode(self.form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
        body: Any = sample(self.bodies[media_type], "")
        for parameter, value in values.items():
            body = _put(body, parameter.path, value)
        if media_type == "application/json":
            return orjson.dumps(body), {"Content-Type": media_type}
        if media_type == "multipart/form-data":
            return _multipart({**body, "file": "# Dry\n\nKeep it dry."}), {"Content-Type": f"{media_type}; boundary=x"}
        return b"# Dry\n\nKeep it dry.", {"Content-Type": media_type if "*" not in media_type else "text/markdown"}


def operations(service: str, document: Schema) -> Iterator[Operation]:
    """Yield all operations of a document."""
    for path, methods in document["paths"].items():
        for method, about in methods.items():
            bodies = {
                media_type: resolved(document, content["schema"])
                for media_type, content in about.get("requestBody", {}).get("content", {}).items()
            }
            given = [
                Parameter(p["in"], p["name"], resolved(document, p["schema"]), p.get("required", False))
                for p in about.get("parameters", ())
            ]
            in_body = [leaf for schema in bodies.values() for leaf in _leaves(schema, ())]
            unique = {(p.place, p.name, p.path): p for p in (*given, *in_body)}
            streams = "text/event-stream" in about["responses"].get("200", {}).get("content", {})
            yield Operation(service, method.upper(), path, tuple(map(_hashable, unique.values())), bodies, streams)


class _Frozen(dict[str, Any]):
    """A schema that can stand in a set."""

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride] - never changed once it is made
        return hash(repr(sorted(self.items(), key=repr)))


def _hashable(parameter: Parameter) -> Parameter:
    return replace(parameter, schema=_Frozen(parameter.schema))


def resolved(document: Schema, schema: Any) -> Any:
    """Return a schema with everything in it that it refers to."""
    if isinstance(schema, Mapping):
        if reference := cast("Schema", schema).get("$ref"):
            name = str(reference).rsplit("/", 1)[-1]
            return {} if name == "JsonValue" else resolved(document, document["components"]["schemas"][name])
        return {key: resolved(document, value) for key, value in cast("Schema", schema).items()}
    return [resolved(document, value) for value in cast("list[Any]", schema)] if isinstance(schema, list) else schema


def _leaves(schema: Schema, path: tuple[str | int, ...]) -> Iterator[Parameter]:
    """Yield each value in a body that is a string, or could be."""
    for choice in [*schema.get("anyOf", ()), *schema.get("oneOf", ())]:
        yield from _leaves(choice, path)
    if schema.get("type") == "object" or "properties" in schema:
        for name, inner in schema.get("properties", {}).items():
            yield from _leaves(inner, (*path, name))
    elif schema.get("type") == "array":
        yield from _leaves(schema.get("items", {}), (*path, 0))
    elif schema.get("type") == "string" and path:
        name = next(part for part in reversed(path) if isinstance(part, str))
        yield Parameter("body", name, schema, required=False, path=path)


_WORDS = (
    "warranty",
    SHARED,
    "support",
    "1",
    "run_" + "0" * 26,
    "2026-11-23",
    "day",
    "00000000-0000-4000-8000-000000000000",
)
_BY_NAME = {"agent": "support", "model": "support", "collection": SHARED, "name": "support", "media_type": "text/plain"}


def sample(schema: Schema, name: str) -> Any:
    """Return the simplest value that fits."""
    fixed = [schema["const"]] if "const" in schema else [value for value in schema.get("enum", ()) if value is not None]
    choices = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if fixed or "enum" in schema:
        return next(iter(fixed), None)
    if schema.get("type") == "object":  # the choices are then of what has to be there
        return _object([*schema.get("required", ()), *(choices[0].get("required", ()) if choices else ())], schema)
    return sample(choices[0], name) if choices else _of_type(schema, name)


def _object(names: Sequence[str], schema: Schema) -> dict[str, Any]:
    return {name: sample(schema["properties"][name], name) for name in names}


def _of_type(schema: Schema, name: str) -> Any:
    match schema.get("type"):
        case "array":
            return [sample(schema["items"], name)] * max(1, schema.get("minItems", 0))
        case "integer":
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return False
        case _:
            return _text(schema, name)


def _text(schema: Schema, name: str) -> str:
    choices = (_BY_NAME.get(name, "warranty"), *_WORDS)
    pattern = re.compile(schema.get("pattern", ""))
    return next((word for word in choices if pattern.search(word)), "warranty")


def _put(body: Any, path: Sequence[str | int], value: str) -> Any:
    """Return the body with a value at a place, which is made if it is not there."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(head, int):
        first: Any = body[0] if isinstance(body, list) and body else None  # pyright: ignore[reportUnknownVariableType] - JSON
        return [_put(first, rest, value)]
    inner: dict[str, Any] = copy.deepcopy(body) if isinstance(body, dict) else {}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - JSON
    inner[head] = _put(inner.get(head), rest, value)
    return inner


def _multipart(fields: Mapping[str, str]) -> bytes:
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"'
        + ('; filename="a.md"\r\nContent-Type: text/markdown' if name == "file" else "")
        + f"\r\n\r\n{value}\r\n"
        for name, value in fields.items()
    ]
    return ("".join(parts) + "--x--\r\n").encode()
