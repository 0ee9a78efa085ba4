"""Incidents that others had, by the shape of the failure: what belongs to another tenant was reached."""

import json
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, cast

import jwt
import pytest
from attacks import SMUGGLED_HEADERS
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import RSAAlgorithm
from operations import operations
from seen_data import dump, refusals
from sides import Sides, take_sides
from two_tenants import Product, Tenant, quiet

from core import SystemClock
from core.errors import Forbidden, Unauthenticated
from mandate.client import Answer as Told
from web import TokenValidator

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
async def sides(served: Product, both: list[Tenant]) -> Sides:
    await quiet(served)
    return await take_sides(served, attacker=both[1], victim=both[0])


async def asked(side: Sides, method: str, path: str, body: object = None, **headers: str) -> Told:
    return await side.attacker.owner.ask(method, path, cast("Any", body), **headers)


async def test_incident_01_a_sibling_endpoint_resolves_by_id_alone(sides: Sides) -> None:
    """Of all that answer to an id, none knows it from another tenant, and none has written anything."""
    before = dump(sides.database, sides.victim.id)
    for operation in operations("interaction", sides.product.apps["interaction"].openapi()):
        ids = {p: sides.foreign.ids[str(p.id_of)][0] for p in operation.parameters if p.id_of and p.place == "path"}
        if ids and not operation.makes:
            token = {"Authorization": f"Bearer {sides.attacker.owner.token}"}
            answer = await sides.send("interaction", operation.request(ids), **token)
            assert answer.status in (404, 422), operation.name
            assert not sides.leaks(answer, operation.request(ids)), operation.name
    assert dump(sides.database, sides.victim.id) == before


async def test_incident_02_a_batch_lacks_the_check_that_one_has_and_a_stored_id_is_used_later(sides: Sides) -> None:
    """Another's collection asked for among one's own, and one that the agent's settings name for every tenant."""
    theirs, own = sides.foreign.ids["collection"][0], sides.own.ids["collection"][0]
    words = {"text": f"{sides.victim.canary} warranty"}
    batch = await asked(sides, "POST", "/v1/search", {**words, "collections": [own, theirs]})
    assert batch.status == 404
    found = await asked(sides, "POST", "/v1/search", words)
    assert found.status == 200
    message = f"How long is the warranty of the {sides.victim.canary}?"
    run = await asked(sides, "POST", "/v1/runs", {"agent": "support", "message": message})
    again = await asked(
        sides,
        "POST",
        "/v1/runs",
        {"agent": "support", "message": "And is it kept dry?", "conversation": run.body["conversation"]},
    )
    assert theirs in str(sides.product.host.agents["support"].data.collections), "the agent's settings name it"
    for told in (found, run, again):
        assert f"warranty of the {sides.victim.canary} is two years" not in str(told.body)
        assert not any(secret in str(told.body) for secret in sides.secrets - {sides.victim.canary})
    # Its title has the word in it, and other tests look for that in what the attacker is shown.
    gone = await asked(sides, "DELETE", f"/v1/conversations/{run.body['conversation']}")
    assert gone.status == HTTPStatus.NO_CONTENT


async def test_incident_04_naming_a_session_attaches_to_it(sides: Sides) -> None:
    """Another's conversation and run, named by who would go on with it, follow it, end it, or answer in its place."""
    run, conversation = sides.foreign.ids["run"][0], sides.foreign.ids["cnv"][0]
    before = dump(sides.database, sides.victim.id)
    words = {"agent": "support", "message": "Go on."}
    attempts = [
        await asked(sides, "POST", "/v1/runs", {**words, "conversation": conversation}),
        await asked(sides, "POST", "/v1/runs", {**words, "replaces": run}),
        await asked(sides, "POST", f"/v1/runs/{run}/cancel"),
        await asked(sides, "GET", f"/v1/runs/{run}"),
        await asked(sides, "GET", f"/v1/runs/{run}/events", Accept="text/event-stream", Last_Event_ID="0"),
        await asked(
            sides,
            "POST",
            "/openai/v1/responses",
            {"model": "support", "input": "Go on.", "previous_response_id": f"resp_{run[4:]}"},
        ),
        await asked(
            sides,
            "POST",
            "/openai/v1/chat/completions",
            {"model": "support", "messages": [{"role": "user", "content": "Go on."}]},
            Mandate_Conversation=conversation,
        ),
    ]
    assert [attempt.status for attempt in attempts] == [404] * len(attempts)
    assert dump(sides.database, sides.victim.id) == before
    unknown = await asked(sides, "POST", "/v1/runs", {**words, "conversation": f"cnv_{'0' * 26}"})
    assert unknown.status == 404, "an id that a client makes up is no conversation either: ours are minted here"


async def test_incident_08_a_token_is_verified_and_then_a_header_is_believed(sides: Sides) -> None:
    headers = dict.fromkeys((name.replace("-", "_") for name in SMUGGLED_HEADERS), sides.victim.id)
    for path in (
        "/v1/me",
        "/v1/runs?mine=false",
        "/v1/documents",
        "/v1/approvals?state=all",
        "/v1/usage",
        "/v1/policies",
    ):
        with_headers, without = await asked(sides, "GET", path, **headers), await asked(sides, "GET", path)
        assert with_headers.status == without.status == 200
        assert not any(secret in str(with_headers.body) for secret in sides.secrets)
    me = await asked(sides, "GET", "/v1/me", **headers)
    assert cast("Any", me.body["tenant"])["id"] == sides.attacker.id


TID, OTHER_TID = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
KEY = generate_private_key(public_exponent=65537, key_size=2048)


class Published:
    """Stands for the issuer's address of keys, which all organisations of a cloud share."""

    def get(self, _: str) -> "Published":
        return self

    async def __aenter__(self) -> "Published":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def raise_for_status(self) -> None:
        pass

    @property
    def content(self) -> "Published":
        return self

    async def iter_any(self) -> Any:
        jwk = RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "k", "use": "sig"}
        yield json.dumps({"keys": [jwk]}).encode()


def token(**changes: Any) -> str:
    now = datetime.now(UTC)
    claims = {
        "iss": f"https://login.example/{TID}/v2.0", "tid": TID, "aud": "api://mandate", "oid": TID, "azp": "cli",
        "iat": now, "nbf": now, "exp": now + timedelta(hours=1), "ver": "2.0", "roles": ["user"], "scp": "access",
        "name": "Ann", "preferred_username": "ann", "sub": "s",
    }  # fmt: skip
    said = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode(said, KEY, algorithm="RS256", headers={"kid": "k"})


async def test_incident_09_a_good_signature_says_nothing_of_the_tenant(served: Product) -> None:
    """Keys are shared by all tenants of a cloud: issuer and `tid` must agree, and the tenant must be a customer."""
    validator = TokenValidator(
        issuer_template="https://login.example/{tid}/v2.0",
        jwks_uri="https://login.example/keys",
        audience="api://mandate",
        session=cast("Any", Published()),
        clock=SystemClock(),
    )
    good = await validator.verify(token())
    assert good.tenant_id == TID
    for changes in (
        {"tid": OTHER_TID},
        {"iss": f"https://login.example/{OTHER_TID}/v2.0"},
        {"tid": None},
        {"iss": None},
    ):
        with pytest.raises(Unauthenticated):
            await validator.verify(token(**changes))
    with pytest.raises(Forbidden) as refused:
        await served.host.directory.resolve(good, correlation="c")
    assert refused.value.code == "access.unbound"


async def test_incident_13_an_approver_of_another_tenant_lists_and_decides(sides: Sides) -> None:
    approval = sides.foreign.ids["apr"][0]
    before, recorded = dump(sides.database, sides.victim.id), refusals(sides.database, sides.attacker.id)
    listed = await asked(sides, "GET", "/v1/approvals?state=all")
    assert approval not in str(listed.body)
    for verdict in ("approved", "denied"):
        decided = await asked(
            sides, "POST", f"/v1/approvals/{approval}/decision", {"verdict": verdict, "reason": "Yes."}
        )
        assert decided.status == 404
    assert dump(sides.database, sides.victim.id) == before
    await quiet(sides.product)
    new = refusals(sides.database, sides.attacker.id) - recorded
    assert new["POST /v1/approvals/{approval}/decision"] == 2
    me = cast("Any", (await asked(sides, "GET", "/v1/me")).body)["id"]
    pending = [item for item in cast("list[Any]", listed.body["items"]) if item["verdict"] == "pending"]
    own = next(item for item in pending if item["requester"] == me)
    yes = {"verdict": "approved", "reason": "It is mine."}
    refused = await asked(sides, "POST", f"/v1/approvals/{own['approval']}/decision", yes)
    assert refused.status == 403, "whoever asked does not approve"
