"""The two tenants as attacker and victim, what is known of each, and how an answer is judged."""

import asyncio
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
from attacks import Attack, Supply
from operations import Operation, Request, operations
from seen_data import ID, dump, ids_in
from two_tenants import KEY, Product, Tenant

from mandate.local.kept import FILES
from page_forms import Form, crawl

OPEN = {
    "GET /healthz",
    "GET /readyz",
    "GET /readyz/candidate",
    "GET /sign-in",
    "GET /signed-in",
    "GET /signed-out",
    "POST /sign-out",
    "POST /sign-out/publisher",
    "GET /marketplace",
    "GET /marketplace/landing",
    "POST /marketplace/landing",
    "POST /v1/marketplace/webhook",
    "POST /v1/marketplace/applications/resource",
    "POST /v1/stamps/heartbeat",
    "POST /v1/stamps/orders",
    "GET /static/{version}/{name}",
}
"""What anybody may ask for: no tenant has a part in it."""

REFUSED = (401, 403, 404)
STREAM_SECONDS = 0.5
MOST_IDS = 2
"""Ids of each kind that are tried."""

_OF_ONE_REQUEST = {"x-correlation-id", "content-length", "date", "etag", "location"}
_ONCE = re.compile(r"cor_[A-Za-z0-9]+|\d{4}-\d\d-\d\dT[0-9:.]+Z|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,64}")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def same(self, sent: Sequence[str]) -> tuple[object, ...]:
        """Return what must be the same for what is another's and for what nobody has: of a refusal all but ids."""
        if self.status < 400:
            return (self.status,)
        headers = {name: value for name, value in self.headers.items() if name not in _OF_ONE_REQUEST}
        return self.status, sorted(headers.items()), _plain(self.body.decode("utf-8", "replace"), sent)


def _plain(text: str, sent: Sequence[str]) -> str:
    for value in sorted(sent, key=len, reverse=True):
        text = text.replace(value, "ID")
    return _ONCE.sub("ONCE", ID.sub("ID", text))


@dataclass(frozen=True)
class Sides:
    """Attributes:
    secrets: ids that only the victim has, and its canary.
    pages, forms: of the victim's console.
    own_forms: of the attacker's.
    """

    product: Product
    attacker: Tenant
    victim: Tenant
    own: Supply
    foreign: Supply
    secrets: frozenset[str]
    pages: Sequence[str]
    forms: Sequence[Form]
    own_forms: Sequence[Form]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def database(self) -> Path:
        return database(self.product)

    async def send(self, service: str, request: Request, **headers: str) -> Answer:
        return await send(self.product, service, request, **headers)

    def leaks(self, answer: Answer, request: Request) -> set[str]:
        """Return what an answer tells of the victim, beyond what the attacker sent."""
        told = answer.body.decode("utf-8", "replace") + repr(answer.headers)
        sent = f"{request.target} {request.headers} {request.body!r}"
        return {secret for secret in self.secrets if secret in told and secret not in sent}

    def judge(self, attack: Attack, answer: Answer, control: Answer | None) -> Iterator[str]:
        """Yield what is wrong with an answer."""
        request = attack.request
        what = (
            f"{attack.kind} at {attack.operation.name}: {request.target} {request.body!r} {request.headers}: {answer}"
        )
        if told := self.leaks(answer, request):
            yield f"tells of another tenant {told}: {what}"
        if answer.status >= 500:
            yield f"breaks: {what}"
        if control and answer.same(attack.sent) != control.same(attack.sent):
            yield f"is told apart: {what}\n    {control}"
        if attack.must_be_404 and answer.status not in attack.refusals:
            yield f"is not 404: {what}"


def database(product: Product) -> Path:
    return product.stack.folder / FILES[product.stack.store]


async def send(product: Product, service: str, request: Request, **headers: str) -> Answer:
    url = f"{product.urls[service]}{request.target}"  # pyright: ignore[reportArgumentType] - one of the three
    async with product.session.request(
        request.method, url, data=request.body or None, headers={**request.headers, **headers}, allow_redirects=False
    ) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, await _body(response))


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Return what is answered; of a stream that goes on, what comes at first."""
    if response.content_type != "text/event-stream":
        return await response.read()
    body = bytearray()
    with suppress(TimeoutError):
        async with asyncio.timeout(STREAM_SECONDS):
            async for piece in response.content.iter_any():
                body += piece
    return bytes(body)


async def take_sides(product: Product, attacker: Tenant, victim: Tenant) -> Sides:
    own, foreign = await _supply(product, attacker, victim), await _supply(product, victim, attacker)
    secrets = ids_in(dump(database(product), victim.id), dump(database(product), attacker.id))

    (pages, forms), (_, own_forms) = [await _console(product, tenant) for tenant in (victim, attacker)]
    # Which process carries a run is no tenant's: all of them see the same.
    only = frozenset({victim.canary, *(secret for secret in secrets if not secret.startswith("lea_"))})
    return Sides(product, attacker, victim, own, foreign, only, pages, forms, own_forms)


async def _console(product: Product, tenant: Tenant) -> tuple[list[str], list[Form]]:
    """Return the pages and forms that the tenant's owner is shown."""

    async def read(path: str) -> str:
        answer = await send(product, "interaction", Request("GET", path), Authorization=f"Bearer {tenant.owner.token}")
        return answer.body.decode() if "html" in answer.headers["content-type"] else ""

    return await crawl("/", read)


async def _supply(product: Product, tenant: Tenant, other: Tenant) -> Supply:
    file = database(product)
    ids: dict[str, list[str]] = {"collection": [tenant.vault], "group": [g.id for g in tenant.company.about.groups]}
    for found in sorted(ids_in(dump(file, tenant.id), dump(file, other.id))):
        ids.setdefault(found.partition("_")[0], []).append(found)
    ids["era"] = ID.findall(str(await tenant.owner.get("/v1/data/erasures")))
    ids["era"] = [found for found in ids["era"] if found.startswith("era_")]
    ids["ten"] = [tenant.id]
    ids["ruleset"] = [str((await tenant.owner.get("/v1/policies"))["in_force"])]
    ids["resp"] = [f"resp_{run.removeprefix('run_')}" for run in ids["run"]]
    ids["passage"] = [f"{document}.0" for document in ids["doc"]]
    cursors, etags = await _listed(product, tenant)
    return Supply(tenant.id, {kind: found[:MOST_IDS] for kind, found in ids.items()}, cursors, etags, [KEY])


async def _listed(product: Product, tenant: Tenant) -> tuple[list[str], list[str]]:
    """Return the cursors that lists of one item give the owner, and the ETags of what they may change."""
    cursors: set[str] = set()
    etags: set[str] = set()
    ids = await _some_ids(tenant)
    for operation in operations("interaction", product.apps["interaction"].openapi()):
        if operation.method == "GET" and {p.name for p in operation.parameters} & {"limit", "conversation"}:
            chosen = {p: ids[p.name] for p in operation.parameters if p.place == "path" and p.name in ids}
            limits = {p: "1" for p in operation.parameters if p.name == "limit"}
            answer = await send(
                product, "interaction", operation.request(chosen | limits), Authorization=f"Bearer {tenant.owner.token}"
            )
            cursors.update(re.findall(rb'"cursor":"([^"]+)"', answer.body) and [_cursor(answer)])
            etags |= {answer.headers["etag"]} if "etag" in answer.headers else set()
    return sorted(cursors), sorted(etags)


def _cursor(answer: Answer) -> str:
    return re.findall(rb'"cursor":"([^"]+)"', answer.body)[-1].decode()


async def _some_ids(tenant: Tenant) -> dict[str, str]:
    """Return a run, its conversation and a document of the owner's."""
    runs, documents = [cast("Any", await tenant.owner.get(f"/v1/{what}")) for what in ("runs", "documents")]
    run = next(item for item in runs["items"] if item["conversation"])
    return {
        "run": str(run["run"]),
        "conversation": str(run["conversation"]),
        "document": str(documents["items"][0]["document"]),
    }


def with_forms(known: Sequence[Operation], forms: Sequence[Form]) -> list[Operation]:
    """Return the operations, with the fields that a page sends to them."""
    fields = {id(of_form(form, known)): {**form.fields, "csrf": ""} for form in forms}
    for sent in fields.values():
        if "etag" in sent:
            sent["etag"] = "of-nothing"  # what a page showed is good once: the next to send it would be told apart
    return [replace(op, form=fields.get(id(op), {"csrf": ""})) for op in known]


def of_form(form: Form, known: Sequence[Operation]) -> Operation:
    """Return the operation that a form is for."""
    path = urlsplit(form.action).path
    return next(op for op in known if op.method == "POST" and re.fullmatch(re.sub(r"{\w+}", "[^/]+", op.path), path))
