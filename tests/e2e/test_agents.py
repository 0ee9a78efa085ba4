"""Agents as principals on the running product: taken on, narrowed, revoked; what everybody sees of it."""

from typing import Any

import aiohttp
import pytest
from browsing import Console
from commands import SignIn, administrative_acts
from playwright.async_api import expect

from core import Json
from mandate.local.seeding import operator_token
from mandate.local.stack import Stack
from mandate.services import Services
from mandate.settings import ROOT

INGRID, HELENE, DARIO = "ingrid@quillmere.example", "helene@quillmere.example", "dario@quillmere.example"
SANDER = "sander@alderfinch.example"
SUPPORT = "/v1/agents/support"
ASKED: Json = {"agent": "support", "message": "Good morning", "use_knowledge": False}

pytestmark = pytest.mark.timeout(180)


async def identity(client: Any) -> Any:
    return (await client.get(SUPPORT))["identity"]


async def test_an_admin_narrows_an_agent_and_everybody_sees_who_answers_for_it(client: SignIn) -> None:
    ingrid, dario = await client(INGRID), await client(DARIO)
    narrow: Json = {"days": 30, "tools": ["lookup_order"], "entra_object_id": "0b0e9a1e-0c5c-4c5e-9f0a-6a1f1b1c2d3e"}
    assert (await dario.ask("PUT", f"{SUPPORT}/sponsorship", narrow)).status == 403
    assert (await ingrid.ask("PUT", f"{SUPPORT}/sponsorship", {"days": 30, "tools": ["open_vault"]})).status == 422
    assert (await ingrid.ask("PUT", "/v1/agents/nobody/sponsorship", {"days": 30})).status == 404
    assert (await ingrid.ask("PUT", f"{SUPPORT}/sponsorship", narrow)).status == 204
    try:
        seen = await identity(dario)
        assert (seen["state"], seen["scope"]["tools"]) == ("active", ["lookup_order"])
        assert seen["sponsor_name"].startswith("Ingrid")
        assert seen["entra_object_id"] == narrow["entra_object_id"]
        assert seen["id"] != (await identity(await client(SANDER)))["id"], "another organisation's is another principal"
    finally:
        assert (await ingrid.ask("PUT", f"{SUPPORT}/sponsorship", {"days": 366})).status == 204
    assert ("switches", "agent/support", "sponsored") in await administrative_acts(ingrid)


async def test_a_revoked_agent_ends_its_runs_by_name_and_somebody_takes_it_on_anew(client: SignIn) -> None:
    ingrid, dario = await client(INGRID), await client(DARIO)
    assert (await dario.ask("POST", f"{SUPPORT}/revoke", {"reason": "No."})).status == 403
    assert (await ingrid.ask("POST", f"{SUPPORT}/revoke", {"reason": "It goes too far."})).status == 204
    try:
        assert (await ingrid.ask("POST", f"{SUPPORT}/revoke", {"reason": "Again."})).body["code"] == "agent.revoked"
        run = await dario.post("/v1/runs", ASKED)
        assert (run["state"], run["code"]) == ("refused", "refused.agent_revoked")
        explained: Any = await dario.get(f"/v1/runs/{run['run']}/explanation")
        assert "taken away" in explained["ending"]
        seen = await identity(dario)
        assert (seen["state"], seen["revoked"]["reason"]) == ("revoked", "It goes too far.")
        lines: Any = (await dario.get("/v1/agents"))["items"]
        assert [line["available"] for line in lines if line["name"] == "support"] == [False]
        assert (await (await client(SANDER)).post("/v1/runs", ASKED))["state"] == "completed", "elsewhere nothing stops"
    finally:
        assert (await ingrid.ask("PUT", f"{SUPPORT}/sponsorship", {"days": 366})).status == 204
    assert (await dario.post("/v1/runs", ASKED))["state"] == "completed"
    assert ("switches", "agent/support", "revoked") in await administrative_acts(ingrid)


async def test_an_admin_changes_and_revokes_an_agent_in_the_console_without_script(
    console: Console, client: SignIn
) -> None:
    page = await console(INGRID, "/agents/support", java_script_enabled=False)
    card = page.locator("#identity")
    await card.locator("summary", has_text="Renew or change").click()
    await card.locator("input[name=tools][value=send_email]").uncheck()
    await card.locator("button:has-text('Renew or change')").click()
    await expect(card.locator("dl")).not_to_contain_text("send_email")
    await card.locator("summary", has_text="Revoke").click()
    await card.locator("input[name=reason]").fill("It writes letters to nobody.")
    await card.locator("button:has-text('Revoke')").click()
    await expect(page.locator("main")).to_contain_text("It writes letters to nobody.")
    seen = await console(DARIO, "/agents/support")
    await expect(seen.locator("#identity")).to_contain_text("All that it may do was taken away.")
    await expect(seen.locator("#identity form")).to_have_count(0)
    await card.locator("summary", has_text="Renew or change").click()
    await card.locator("input[name=tools][value=send_email]").check()
    await card.locator("button:has-text('Renew or change')").click()
    await expect(card.locator("dl")).to_contain_text("send_email")
    assert (await identity(await client(DARIO)))["state"] == "active"


async def test_a_claim_that_the_publisher_marks_as_failed_is_off_and_seen_in_every_organisation(
    stack: Stack, session: aiohttp.ClientSession, client: SignIn, console: Console
) -> None:
    token = await operator_token(session, stack, Services.load(ROOT / "environments"))

    async def mark(how: str, **more: str) -> int:
        body = {"name": "claim/support-mails-need-a-person", **more}
        address, headers = f"{stack.address('control')}/v1/switches/{how}", {"Authorization": f"Bearer {token}"}
        async with session.post(address, json=body, headers=headers) as response:
            return response.status

    assert await mark("off", reason="A letter went out twice.") == 204
    try:
        for name in (DARIO, SANDER):
            claims: Any = (await (await client(name)).get(SUPPORT))["claims"]
            assert {claim["id"]: claim["state"] for claim in claims}["support-mails-need-a-person"] == "failed"
        page = await console(SANDER, "/agents/support")
        await expect(page.locator("main")).to_contain_text("A letter went out twice.")
        await expect(page.locator("#claims")).to_contain_text("Switched off: tool/send_email")
        mia: Any = await client("mia@alderfinch.example")
        refused = await mia.ask("POST", "/v1/switches/off", {"name": "claim/support-answers-found", "reason": "No."})
        assert refused.status == 404, "an organisation cannot mark one"
    finally:
        assert await mark("on") == 204
    claims = (await (await client(DARIO)).get(SUPPORT))["claims"]
    assert {claim["state"] for claim in claims} == {"holds", "not_measured"}
