"""Policies and switches on the running product: tried before they hold, put back, and everything stopped at once."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from browsing import Console
from commands import SignIn, administrative_acts, mandate
from playwright.async_api import expect

from core import Json, SystemClock, timestamp
from mandate.local.kept import copy_store
from mandate.local.stack import Stack

INGRID, HELENE, DARIO = "ingrid@quillmere.example", "helene@quillmere.example", "dario@quillmere.example"
MIA, SANDER = "mia@alderfinch.example", "sander@alderfinch.example"
ASKED: Json = {"agent": "support", "message": "Good morning", "use_knowledge": False}
NO_MODELS = '@id("no-models") @lane("never") @reason("Not today.") forbid (principal, action == Mandate::Action::"call_model", resource);'  # noqa: E501 - one policy on one line, as its place is tested

pytestmark = pytest.mark.timeout(180)


async def policies(client: Any) -> tuple[Any, dict[str, str]]:
    answer = await client.ask("GET", "/v1/policies")
    return answer.body, {"If_Match": answer.headers["ETag"]}


async def test_policies_are_linted_tried_saved_and_put_back(client: SignIn) -> None:
    ingrid, helene, dario = await client(INGRID), await client(HELENE), await client(DARIO)
    assert (await dario.post("/v1/runs", ASKED))["state"] == "completed"
    own, seen = await policies(ingrid)
    draft = f"{own['text']}\n{NO_MODELS}"

    wrong: Any = await helene.post("/v1/policies/lint", {"text": draft.replace("call_model", "call_mdel")})
    assert [(problem["policy"], problem["line"]) for problem in wrong["problems"]] == [
        ("tenant/no-models", draft.count("\n") + 1)
    ]
    assert (await helene.post("/v1/policies/lint", {"text": draft}))["problems"] == []

    same: Any = await helene.post("/v1/policies/try", {"text": own["text"], "days": 30})
    assert same["replayed"]["decisions"] == same["replayed"]["same"] > 0, same["replayed"]["groups"]
    question: Json = {"kind": "call_model", "target": "chat", "agent": "support"}
    tried: Any = await helene.post("/v1/policies/try", {"text": draft, "question": question})
    assert tried["replayed"]["tightened"] > 0
    assert tried["replayed"]["loosened"] == tried["replayed"]["undecided"] == 0
    assert (tried["answered"]["now"]["lane"], tried["answered"]["then"]["policies"]) == (
        "automatic",
        ["tenant/no-models"],
    )
    assert (await helene.ask("PUT", "/v1/policies", {"text": draft, "reason": "No."}, **seen)).status == 403
    assert (await ingrid.ask("PUT", "/v1/policies", {"text": draft}, **seen)).status == 422, "it needs a reason"

    saved = await ingrid.ask("PUT", "/v1/policies", {"text": draft, "reason": "A quiet day."}, **seen)
    assert saved.status == 200, saved.body
    run = await dario.post("/v1/runs", ASKED)
    assert (run["state"], run["code"]) == ("refused", "refused.model_call")
    versions: Any = (await helene.get("/v1/policies/versions"))["items"]
    assert versions[0]["reason"] == "A quiet day."
    back = f"/v1/policies/versions/{versions[1]['number']}/restore"
    restored = await ingrid.ask("POST", back, {"reason": "It is loud again."}, If_Match=saved.headers["ETag"])
    assert restored.status == 200, restored.body
    assert restored.body["text"] == own["text"]
    assert (await dario.post("/v1/runs", ASKED))["state"] == "completed"
    events: Any = (await dario.get(f"/v1/runs/{run['run']}/events"))["items"]
    (decided,) = [event["decision"] for event in events if event["type"] == "decision_made"]
    named = await helene.get(f"/v1/policies/rulesets/{decided['policy_version']}")
    assert named["own"] == draft
    acts = [version for kind, _, version in await administrative_acts(helene) if kind == "policy"]
    assert len(acts) >= 3, "each act is in the log"


async def test_a_policy_of_another_organisation_is_not_there(client: SignIn) -> None:
    mia, ingrid = await client(MIA), await client(INGRID)
    body, _ = await policies(mia)
    assert (await mia.ask("GET", f"/v1/policies/rulesets/{body['in_force']}")).status == 200
    assert (await ingrid.ask("GET", f"/v1/policies/rulesets/{body['in_force']}")).status == 404


@pytest.mark.parametrize("name", ["agent/support", "tenant", "capability/models"])
async def test_what_is_switched_off_ends_runs_by_name_and_everybody_sees_why(client: SignIn, name: str) -> None:
    ingrid, dario = await client(INGRID), await client(DARIO)
    assert (await dario.ask("POST", "/v1/switches/off", {"name": name, "reason": "No."})).status == 403
    off = await ingrid.ask("POST", "/v1/switches/off", {"name": name, "reason": "It said odd things."})
    assert off.status == 204, off.body
    try:
        run = await dario.post("/v1/runs", ASKED)
        assert (run["state"], run["code"]) == ("refused", "refused.switched_off")
        told: Any = (await dario.get(f"/v1/runs/{run['run']}/explanation"))["decisions"]
        assert "switched off" in told[-1]["reason"]
        agent: Any = await dario.get("/v1/agents/support")
        assert [(one["name"], one["reason"]) for one in agent["switched_off"]] == [(name, "It said odd things.")]
        assert (await (await client(SANDER)).post("/v1/runs", ASKED))["state"] == "completed", "elsewhere nothing stops"
    finally:
        assert (await ingrid.ask("POST", "/v1/switches/on", {"name": name})).status == 204
    assert (await dario.post("/v1/runs", ASKED))["state"] == "completed"
    assert ("switches", name, "off") in await administrative_acts(ingrid)
    assert ("switches", name, "on") in await administrative_acts(ingrid)


async def test_a_switch_that_is_not_there_is_refused(client: SignIn) -> None:
    ingrid = await client(INGRID)
    for name in ("tool/made_up", "agent/", "tenant/ten_01m89zpkvqh5ykt4xv708c41x2"):
        answer = await ingrid.ask("POST", "/v1/switches/off", {"name": name, "reason": "No."})
        assert answer.status in (404, 422), answer.body


async def test_a_draft_is_checked_tried_and_saved_in_the_console_without_script(
    console: Console, client: SignIn
) -> None:
    ingrid = await client(INGRID)
    before, _ = await policies(ingrid)
    page = await console(INGRID, "/policies", java_script_enabled=False)
    await page.fill("#text", "forbid (principal, action, resource) when { context.efect == 1 };")
    await page.click("button[value=check]")
    await expect(page.locator("#found")).to_contain_text("Line 1, column")
    await expect(page.locator("#text")).to_have_value(
        "forbid (principal, action, resource) when { context.efect == 1 };"
    )
    await page.fill("#text", f"{before['text']}\n{NO_MODELS.replace('no-models', 'never-at-night')}".replace(
        ", resource);", ", resource) when { context.hour > 23 };"
    ))  # fmt: skip
    await page.click("summary:has-text('Ask a question')")
    await page.fill("#target", "chat")
    await page.select_option("#kind", "call_model")
    await page.fill("#facts", 'hour = 24\nuser_roles = ["approver"]')
    await page.click("button[value=try]")
    found = page.locator("#found")
    await expect(found).to_contain_text("Nothing is wrong with it")
    await expect(found.locator(".diff")).to_contain_text("never-at-night")
    await expect(found).to_contain_text("decisions:")
    await expect(found).to_contain_text("tenant/never-at-night")
    await page.fill("#reason", "Nobody works then.")
    await page.click("#found button:has-text('Put in force')")
    await expect(page.locator("#versions")).to_contain_text("Nobody works then.")
    await expect(page.locator("#rules")).to_contain_text("the hour of the day is more than 23")
    after, _ = await policies(ingrid)
    await page.goto(f"/policies/versions/{after['number'] - 1}")
    await page.fill("#reason", "They do.")
    await page.click("button:has-text('Put this version in force again')")
    await expect(page.locator("#versions")).to_contain_text("They do.")
    assert (await policies(ingrid))[0]["text"] == before["text"]


async def test_a_switch_is_thrown_in_the_console_and_seen_by_everybody(console: Console) -> None:
    page = await console(INGRID, "/switches")
    row = page.locator("tr", has_text="send_email")
    await row.locator("summary").click()
    await row.locator("input[name=reason]").fill("Letters go by post this week.")
    await row.locator("button[type=submit]").click()
    await expect(row).to_contain_text("Letters go by post this week.")
    seen = await console(DARIO, "/agents/support")
    await expect(seen.locator("main")).to_contain_text("Letters go by post this week.")
    await row.locator("button:has-text('Switch on again')").click()
    await expect(row).not_to_contain_text("Letters go by post")


async def test_what_is_on_record_is_decided_again_by_the_command_line(
    stack: Stack, client: SignIn, tmp_path: Path
) -> None:
    since = timestamp(SystemClock().now())
    assert (await (await client(SANDER)).post("/v1/runs", ASKED))["state"] == "completed"
    copy_store(stack.folder, tmp_path / "copy", "sqlite")
    folder = tmp_path / "candidate"
    folder.mkdir()
    asked = ("policy", "replay", "--candidate", str(folder), "--folder", str(tmp_path / "copy"))
    assert "has no policies" in (await mandate(*asked)).output
    (folder / "enviroment.cedar").write_text("")
    assert "has enviroment" in (await mandate(*asked)).output, "a misspelt layer is not left out silently"
    (folder / "enviroment.cedar").rename(folder / "environment.cedar")
    same = await mandate(*asked, "--json", "--fail-on", "changed", "--since", since)
    found = orjson.loads(same.output)
    assert same.code == 0
    assert found["decisions"] > 0
    assert found["same"] == found["decisions"], found["groups"]
    assert found["broken_runs"] == 0
    whole = orjson.loads((await mandate(*asked, "--json")).output)
    assert whole["decisions"] > found["decisions"]
    assert (whole["tightened"], whole["undecided"]) == (0, 0), whole["groups"]
    (folder / "environment.cedar").write_text(NO_MODELS)
    told = await mandate(*asked, "--fail-on", "changed")
    assert (told.code, "environment/no-models" in told.output) == (1, True), told.output
    assert (await mandate(*asked, "--fail-on", "loosened", "--since", since)).code == 0
    assert (await mandate(*asked, "--since", "2100-01-01", "--fail-on", "changed")).code == 0
