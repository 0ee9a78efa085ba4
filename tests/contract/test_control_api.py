"""The control plane's HTTP API over a socket and a real store: what each caller gets, and what is recorded."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
import uvicorn
from fastapi import Request
from governed_world import Governed, eraser_of
from marketplace_desk_world import UNITS, offered
from starlette.types import ASGIApp, Receive, Scope, Send

from clocks import MovableClock
from control import (
    PERSONAL_ACCOUNTS,
    AccessLog,
    Caller,
    ControlServices,
    Directory,
    Entitlements,
    ErasureRecord,
    Erasures,
    Policies,
    ServiceCaller,
    Switches,
    TenantRecord,
    UserCaller,
    contexts,
    create_app,
    log_run,
)
from core import PUBLISHER, PrincipalId, Role, TenantContext, TenantId, derived_id
from core.bodies import AccessRefused, Body, RecordChanged
from core.errors import Unauthenticated
from core.parts import RunKind
from data import Store, read_run
from data.sqlite import open_store

CONTOSO = TenantRecord(id=TenantId(derived_id("ten", "contoso")), name="Contoso", plan="team", region="local")
FABRIKAM = TenantRecord(id=TenantId(derived_id("ten", "fabrikam")), name="Fabrikam", plan="team", region="local")
TIGHTER = '@id("no-mail") @lane("never") @reason("No mail.") forbid (principal, action, resource);'
SAVED = {"text": TIGHTER, "reason": "Mail is sent by people."}
TID = "11111111-1111-4111-8111-111111111111"
DAY = "2026-11-23"
PLANS = offered(team=500)


START = datetime(2026, 11, 23, 12, tzinfo=UTC)


def context_of(tenant: TenantRecord, role: str) -> TenantContext:
    return contexts.from_directory(
        tenant, PrincipalId(f"prn_{role}"), roles=[Role(role)], groups=[], correlation="test"
    )


async def authenticate(request: Request) -> Caller:
    """Stand for the real one: the test says who calls in a header."""
    kind, _, name = request.headers.get("x-test-caller", "").partition(":")
    match kind:
        case "contoso":
            return UserCaller(context_of(CONTOSO, name))
        case "fabrikam":
            return UserCaller(context_of(FABRIKAM, name))
        case "service":
            return ServiceCaller("mandate", frozenset({name}))
        case _:
            raise Unauthenticated("Sign in first.", code="identity.missing")


class Front:
    """One server for all tests, before the application of the test that runs."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


FRONT = Front()


@pytest.fixture(scope="module")
async def url() -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(FRONT, port=0, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event to wait for
        await asyncio.sleep(0.005)
    port = cast("int", server.servers[0].sockets[0].getsockname()[1])
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    json: Any


@dataclass
class Api:
    url: str
    session: aiohttp.ClientSession
    store: Store

    async def call(self, caller: str, method: str, path: str, **more: Any) -> Answer:
        headers = {"x-test-caller": caller, **more.pop("headers", {})}
        async with self.session.request(method, self.url + path, headers=headers, **more) as response:
            body = await response.json(content_type=None)
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, body)

    async def log(self, context: TenantContext, kind: RunKind) -> list[Body]:
        assert kind in (RunKind.ACCESS, RunKind.ADMIN)
        events = await read_run(self.store.tenant(context), log_run(context.tenant, kind, DAY))
        return [stored.event.body for stored in events[1:]]


@pytest.fixture
async def api(tmp_path: Path, url: str) -> AsyncIterator[Api]:
    clock = MovableClock(START)
    async with open_store(tmp_path / "store.db") as store, aiohttp.ClientSession() as session:
        directory = Directory(store, clock)
        await directory.create_tenant(CONTOSO)
        await directory.create_tenant(FABRIKAM)
        services = ControlServices(
            store=store,
            directory=directory,
            policies=Policies(environment="", clock=clock),
            switches=Switches(store, clock, agents=["support"], tools=["issue_refund"]),
            access=AccessLog(store, clock, code="1"),
            erasures=Erasures(store, clock),
            entitlements=Entitlements(store, clock, PLANS),
            units=UNITS,
            authenticate=authenticate,
            version="1",
            rings=lambda: ["early", "general"],
        )
        FRONT.app = create_app(services)
        yield Api(url, session, store)


async def test_what_the_publisher_lays_down_for_one_tenant_holds_for_it_alone_and_is_recorded(api: Api) -> None:
    path = f"/v1/tenants/{CONTOSO.id}/entitlements"
    laid = {"features": ["models", "search"], "included": {"completed_runs": 20}}
    for nobody in ("contoso:owner", "service:call"):
        assert (await api.call(nobody, "PUT", path, json=laid)).status == 403
    told = await api.call("service:control.admin", "PUT", path, json=laid)
    assert told.status == 200
    assert (told.json["features"], told.json["included"]) == (["models", "search"], {"completed_runs": 20})
    assert told.json["models"] == ["chat", "embed"], "what is left out is the plan's"
    others = await api.call("service:control.admin", "GET", f"/v1/tenants/{FABRIKAM.id}/entitlements")
    assert (others.json["included"], "tools" in others.json["features"]) == ({"completed_runs": 500}, True)
    changed = await api.log(contexts.publisher("test"), RunKind.ADMIN)
    assert [(body.kind, body.key) for body in changed if isinstance(body, RecordChanged)] == [
        ("entitlement_override", CONTOSO.id)
    ]
    unknown = await api.call("service:control.admin", "PUT", path, json={"included": {"smiles": 1}})
    assert (unknown.status, unknown.json["code"]) == (422, "entitlement.unit")


async def test_an_admin_puts_policies_in_force_and_everybody_else_may_at_most_read_them(api: Api) -> None:
    before = await api.call("contoso:auditor", "GET", "/v1/policies")
    assert (before.status, before.json["text"], "etag" in before.headers) == (200, "", False)

    put = await api.call("contoso:admin", "PUT", "/v1/policies", json=SAVED, headers={"If-None-Match": "*"})
    assert put.status == 200
    assert put.json["in_force"] != before.json["in_force"]
    read = await api.call("contoso:auditor", "GET", "/v1/policies")
    assert (read.json, read.headers["etag"]) == (put.json, put.headers["etag"])

    again = await api.call(
        "contoso:owner",
        "PUT",
        "/v1/policies",
        json={**SAVED, "text": "// nothing of our own"},
        headers={"If-Match": put.headers["etag"]},
    )
    assert (again.status, again.json["in_force"]) == (200, before.json["in_force"])
    changes = await api.log(context_of(CONTOSO, "admin"), RunKind.ADMIN)
    assert [isinstance(body, RecordChanged) and (body.kind, body.version) for body in changes] == [
        ("policy", put.json["version"]),
        ("policy", again.json["version"]),
    ]
    assert (await api.call("fabrikam:admin", "GET", "/v1/policies")).json["text"] == ""


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 412, "precondition"),
        ({"If-None-Match": "*"}, 412, "precondition"),
        ({"If-Match": '"an-older-one"'}, 412, "precondition"),
        ({"If-Match": "*"}, 412, "precondition"),
        ({"If-Match": "ETAG", "If-None-Match": "*"}, 412, "precondition"),
    ],
)
async def test_policies_that_somebody_else_changed_are_not_overwritten(
    api: Api, headers: dict[str, str], status: int, code: str
) -> None:
    first = await api.call(
        "contoso:admin", "PUT", "/v1/policies", json={**SAVED, "text": ""}, headers={"If-None-Match": "*"}
    )
    headers = {name: value.replace("ETAG", first.headers["etag"]) for name, value in headers.items()}
    refused = await api.call("contoso:admin", "PUT", "/v1/policies", json=SAVED, headers=headers)
    assert (refused.status, refused.json["code"]) == (status, code)
    assert (await api.call("contoso:admin", "GET", "/v1/policies")).json["text"] == ""


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"json": {"text": "permit ("}}, 422, "policy.syntax"),
        ({"json": {"text": TIGHTER.replace("never", "approval")}}, 422, "policy.annotation"),
        (
            {"json": {"text": '@id("a") @lane("automatic") @reason("R") permit (principal, action, resource);'}},
            422,
            "policy.loosens",
        ),
        ({"json": {"text": TIGHTER + " " * 40_000}}, 422, "policy.syntax"),
        ({"json": {"text": 1}}, 422, "request.invalid"),
        ({"json": {}}, 422, "request.invalid"),
        ({"json": {"text": "", "more": 1}}, 422, "request.invalid"),
        ({"data": b'{"text": "\\ud800"}', "headers": {"Content-Type": "application/json"}}, 422, "request.invalid"),
        ({"json": {"text": "\0"}}, 422, "policy.syntax"),
        ({"data": b"x", "headers": {"Content-Type": "application/xml"}}, 422, "request.invalid"),
        ({"data": b"x" * 200_000, "headers": {"Content-Type": "application/json"}}, 413, "request.size"),
    ],
)
@pytest.mark.parametrize("route", ["PUT /v1/policies", "POST /v1/policies/check"])
async def test_policies_that_are_wrong_are_refused_and_nothing_is_saved(
    api: Api, route: str, body: dict[str, Any], status: int, code: str
) -> None:
    method, path = route.split()
    if method == "PUT" and isinstance(said := body.get("json"), dict):
        body = {**body, "json": {**said, "reason": "Because."}}
    headers = {"If-None-Match": "*", **body.get("headers", {})}
    refused = await api.call("contoso:admin", method, path, **{**body, "headers": headers})
    assert (refused.status, refused.json["code"]) == (status, code)
    assert refused.headers["content-type"] == "application/problem+json"
    assert "etag" not in (await api.call("contoso:admin", "GET", "/v1/policies")).headers


async def test_policies_can_be_checked_without_saving_them(api: Api) -> None:
    checked = await api.call("contoso:auditor", "POST", "/v1/policies/check", json={"text": TIGHTER})
    assert checked.status == 200
    assert {"id": "tenant/no-mail", "lane": "never", "approvers": 0, "reason": "No mail."} in checked.json["policies"]
    assert (await api.call("contoso:auditor", "GET", "/v1/policies")).json["in_force"] != checked.json["in_force"]


ADMIN_ONLY = [
    ("POST", "/v1/tenants", {"id": derived_id("ten", "x"), "name": "X", "plan": "team", "region": "local"}),
    ("GET", "/v1/tenants", None),
    ("POST", "/v1/bindings", {"tenant": CONTOSO.id, "tid": TID}),
    ("GET", "/v1/bindings", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ADMIN_ONLY)
@pytest.mark.parametrize("caller", ["contoso:owner", "service:orchestration.call"])
async def test_only_the_publishers_own_services_onboard_and_an_attempt_is_recorded(
    api: Api, method: str, path: str, body: dict[str, Any] | None, caller: str
) -> None:
    refused = await api.call(caller, method, path, json=body)
    assert (refused.status, refused.json["code"]) == (403, "access.forbidden")
    context = context_of(CONTOSO, "owner") if caller.startswith("contoso") else contexts.publisher("test")
    assert await api.log(context, RunKind.ACCESS) == [
        AccessRefused(code="access.forbidden", operation=f"{method} {path}")
    ]
    assert len((await api.call("service:control.admin", "GET", "/v1/tenants")).json["items"]) == 2


@pytest.mark.parametrize(
    ("method", "path"), [*((m, p) for m, p, _ in ADMIN_ONLY), ("GET", "/v1/policies"), ("GET", "/v1/tenants/current")]
)
async def test_who_is_not_proved_gets_401_and_is_recorded_at_the_publishers(api: Api, method: str, path: str) -> None:
    refused = await api.call("", method, path, json={} if method == "POST" else None)
    assert (refused.status, refused.json["code"]) == (401, "identity.missing")
    assert await api.log(contexts.publisher("test"), RunKind.ACCESS) == [
        AccessRefused(code="identity.missing", operation=f"{method} {path}")
    ]


@pytest.mark.parametrize("role", ["user", "approver", "auditor"])
async def test_roles_that_may_not_change_policies(api: Api, role: str) -> None:
    refused = await api.call(f"contoso:{role}", "PUT", "/v1/policies", json=SAVED, headers={"If-None-Match": "*"})
    assert refused.status == 403
    assert (await api.call(f"contoso:{role}", "GET", "/v1/policies")).status == (200 if role == "auditor" else 403)
    assert (await api.call("service:control.admin", "GET", "/v1/policies")).status == 403


async def test_a_tenant_sees_itself(api: Api) -> None:
    own = await api.call("fabrikam:user", "GET", "/v1/tenants/current")
    assert (own.status, own.json["id"], own.json["name"]) == (200, FABRIKAM.id, "Fabrikam")
    assert "groups" not in own.json


async def test_the_publisher_takes_a_tenant_on_once(api: Api) -> None:
    new = {
        "id": derived_id("ten", "sub-1"),
        "name": "Alderfinch",
        "plan": "team",
        "region": "local",
        "groups": {TID: "office"},
    }
    first = await api.call("service:control.admin", "POST", "/v1/tenants", json=new)
    again = await api.call("service:control.admin", "POST", "/v1/tenants", json=new)
    other = await api.call("service:control.admin", "POST", "/v1/tenants", json={**new, "plan": "free"})
    assert (first.status, again.status, other.status) == (201, 200, 409)
    assert first.json == again.json

    binding = {"tenant": first.json["id"], "tid": TID}
    bound = [await api.call("service:control.admin", "POST", "/v1/bindings", json=binding) for _ in range(2)]
    assert [answer.status for answer in bound] == [201, 200]
    assert {answer.json["tenant"] for answer in bound} == {first.json["id"]}
    elsewhere = await api.call("service:control.admin", "POST", "/v1/bindings", json={**binding, "tenant": CONTOSO.id})
    assert (elsewhere.status, elsewhere.json["code"]) == (409, "conflict.binding")
    person = await api.call(
        "service:control.admin", "POST", "/v1/bindings", json={"tenant": first.json["id"], "oid": TID}
    )
    assert person.status == 201
    listed = await api.call("service:control.admin", "GET", "/v1/bindings")
    assert [item["key"] for item in listed.json["items"]] == [f"org/{TID}", f"person/{PERSONAL_ACCOUNTS}/{TID}"]
    assert {item["tenant"] for item in listed.json["items"]} == {first.json["id"]}
    changes = await api.log(contexts.publisher("test"), RunKind.ADMIN)
    assert [body.kind for body in changes if isinstance(body, RecordChanged)] == ["tenant", "binding", "binding"]
    assert TID not in str(changes)


async def test_the_publisher_has_a_tenant_erased_and_is_told_which(api: Api) -> None:
    told = await api.call("service:control.admin", "POST", f"/v1/tenants/{CONTOSO.id}/erasure")
    assert (told.status, told.json["tenant"]) == (202, CONTOSO.id)
    records = api.store.tenant(contexts.publisher("test")).records
    found = await records.list(ErasureRecord)
    assert [(item.value.id, item.value.tenant, item.value.target) for item in found.items] == [
        (told.json["erasure"], CONTOSO.id, CONTOSO.id)
    ]


async def test_the_publisher_puts_a_tenant_into_a_ring_that_there_is(api: Api) -> None:
    path = f"/v1/tenants/{CONTOSO.id}/ring"
    refused = await api.call("service:control.admin", "PUT", path, json={"ring": "nowhere"})
    assert (refused.status, refused.json["code"]) == (422, "rollout.ring")
    assert (await api.call("service:control.admin", "PUT", path, json={"ring": "early"})).status == 204
    seen = await api.call("contoso:user", "GET", "/v1/tenants/current")
    assert seen.json["ring"] == "early"
    assert (await api.call("contoso:owner", "PUT", path, json={"ring": "general"})).status == 403
    gone = await api.call("service:control.admin", "PUT", f"/v1/tenants/ten_{'0' * 26}/ring", json={"ring": "early"})
    assert gone.status == 404


async def test_the_list_of_tenants_comes_in_pages(api: Api) -> None:
    first = await api.call("service:control.admin", "GET", "/v1/tenants?limit=1")
    second = await api.call("service:control.admin", "GET", f"/v1/tenants?limit=1&cursor={first.json['cursor']}")
    assert {first.json["items"][0]["id"], second.json["items"][0]["id"]} == {CONTOSO.id, FABRIKAM.id}


@pytest.mark.parametrize(
    "change",
    [
        {"tid": "CONTOSO"},
        {"tid": PERSONAL_ACCOUNTS},
        {"oid": TID},
        {"tenant": PUBLISHER},
        {"tenant": "../ten"},
        {"more": 1},
    ],
)
async def test_a_binding_that_makes_no_sense_is_refused(api: Api, change: dict[str, Any]) -> None:
    body = {"tenant": CONTOSO.id, "tid": TID, **change}
    refused = await api.call("service:control.admin", "POST", "/v1/bindings", json=body)
    assert (refused.status, refused.json["code"]) == (422, "request.invalid")
    unknown = await api.call(
        "service:control.admin",
        "POST",
        "/v1/bindings",
        json={"tenant": TenantId(derived_id("ten", "nobody")), "tid": TID},
    )
    assert unknown.status == 404


async def test_every_route_says_how_it_can_answer(api: Api) -> None:
    document = (await api.call("", "GET", "/openapi.json")).json
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path.startswith("/v1"):
                assert {"401", "403"} <= operation["responses"].keys()
                assert operation["description"]


async def test_the_publisher_has_a_tenant_erased_and_its_id_is_never_good_again(api: Api) -> None:
    theirs, others = await Governed(api.store).fill(), await Governed(api.store).fill()
    path = f"/v1/tenants/{theirs.tenant}/erasure"
    told = await api.call("service:control.admin", "POST", path)
    assert (told.status, told.json["tenant"]) == (202, theirs.tenant)
    changes = await api.log(contexts.publisher("test"), RunKind.ADMIN)
    assert RecordChanged(kind="tenant", key=theirs.tenant, version="erased") in changes
    eraser = eraser_of(api.store)
    (asked,) = await eraser.erasures.open()
    assert (asked.id, asked.subject, asked.target) == (told.json["erasure"], "tenant", theirs.tenant)
    assert (await eraser.carry(asked)).done_at
    kept = {held.part for held in await api.store.governed.held(theirs.tenant)}
    assert kept == {"log", "views"}
    assert await others.search() > 0
    assert (await api.call("service:control.admin", "POST", path)).status == 404
    again = {"id": theirs.tenant, "name": "Again", "plan": "team", "region": "local"}
    refused = await api.call("service:control.admin", "POST", "/v1/tenants", json=again)
    assert (refused.status, refused.json["code"]) == (409, "erasure.tenant")


async def test_the_publisher_erases_nothing_that_a_hold_keeps_and_nobody_who_is_not_there(api: Api) -> None:
    theirs = await Governed(api.store).fill()
    await api.store.governed.hold(theirs.tenant, "hld_dispute", [theirs.person])
    cases = {theirs.tenant: (409, "hold.active"), derived_id("ten", "nobody"): (404, "not_found"), "ten": (422, "")}
    for tenant, (status, code) in cases.items():
        refused = await api.call("service:control.admin", "POST", f"/v1/tenants/{tenant}/erasure")
        assert (refused.status, refused.json["code"]) == (status, code or "request.invalid")
    assert await Erasures(api.store, MovableClock(START)).open() == []
    assert await theirs.search() > 0


@pytest.mark.parametrize("caller", ["contoso:owner", "fabrikam:owner", "service:orchestration.call", ""])
async def test_nobody_but_the_publisher_has_a_tenant_erased_there(api: Api, caller: str) -> None:
    refused = await api.call(caller, "POST", f"/v1/tenants/{CONTOSO.id}/erasure")
    assert refused.status == (403 if caller else 401)
    assert await Erasures(api.store, MovableClock(START)).open() == []
