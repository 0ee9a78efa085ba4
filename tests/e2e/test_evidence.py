"""Evidence over HTTP, on the command line and in the console: checkpoints, queries of auditors, a SIEM's lines."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import orjson
import pytest
from browsing import Console
from commands import SignIn, mandate
from playwright.async_api import expect

from mandate.client import Client
from mandate.local.stack import ANCHORS, EVIDENCE_KEY, Stack
from mandate.turns import ended

GRETA, MIA, NOOR, SANDER = (f"{name}@alderfinch.example" for name in ("greta", "mia", "noor", "sander"))
REFUND = "Please refund 0.01 EUR for order A-20398 because the pole was late."
WARRANTY = "How long is the warranty on a tent?"

pytestmark = pytest.mark.timeout(300)


async def refunded(client: SignIn) -> str:
    """Have a refund approved, and return its run, which the views and a checkpoint have by then."""
    sander, noor = await client(SANDER), await client(NOOR)
    waiting: Any = await sander.post("/v1/runs", {"agent": "support", "message": REFUND, "use_knowledge": False})
    decision = {"verdict": "approved", "reason": "The pole was late."}
    await noor.post(f"/v1/approvals/{waiting['pending_approval']['approval']}/decision", decision)
    assert (await ended(sander, waiting["run"], 60)).state == "completed"
    await covered(await client(MIA))
    return waiting["run"]


async def covered(mia: Client) -> None:
    """Have a checkpoint made: an archive begins with one."""
    assert (await mia.ask("GET", "/v1/usage")).status == 200
    session = mia._session  # pyright: ignore[reportPrivateUsage] - the answer is no JSON
    headers = {"Authorization": f"Bearer {mia.token}"}
    async with session.get(f"{mia.url}/v1/data/export?of=me", headers=headers) as answer:
        assert answer.status == 200
        await answer.read()


async def decisions(person: Client, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page: Any = await person.get(f"/v1/evidence/decisions?{query}{cursor}")
        found += page["items"]
        if page["cursor"] is None:
            return found
        cursor = f"&cursor={page['cursor']}"


async def test_a_run_says_by_which_checkpoint_it_is_covered_and_that_holds(client: SignIn) -> None:
    run, greta = await refunded(client), await client(GRETA)
    told: Any = await greta.get(f"/v1/runs/{run}/verification")
    number = told["checkpoint"]["number"]
    page: Any = await greta.get("/v1/evidence/checkpoints?limit=1")
    assert page["items"][0]["number"] >= number
    held: Any = await greta.get(f"/v1/evidence/checkpoints/{number}/verification")
    assert (held["ok"], held["broken"]) == (True, [])
    assert held["runs"] > 0
    assert (await greta.ask("GET", "/v1/evidence/checkpoints/999999/verification")).status == 404
    sander = await client(SANDER)
    for path in ("checkpoints", "events", "decisions", f"checkpoints/{number}/verification"):
        assert (await sander.ask("GET", f"/v1/evidence/{path}")).status == 403
    keys: Any = await sander.get("/v1/evidence/keys")
    assert keys["keys"][0]["kid"] == page["items"][0]["signed"]["kid"]


async def test_each_question_of_an_auditor_is_one_query(client: SignIn) -> None:
    run, greta, sander, noor = await refunded(client), *[await client(name) for name in (GRETA, SANDER, NOOR)]
    asked: Any = await sander.post("/v1/runs", {"agent": "support", "message": WARRANTY, "use_knowledge": True})
    await ended(sander, asked["run"], 60)
    me, approver = [str((await one.get("/v1/me"))["id"]) for one in (sander, noor)]

    await _until_listed(greta, asked["run"])
    by_person = await decisions(greta, f"person={me}")
    assert {run, asked["run"]} <= {line["run"] for line in by_person}
    assert {line["person"] for line in by_person} == {me}
    of_these = [line for line in by_person if line["run"] in (run, asked["run"])]  # a search has no agent
    assert all(line["roles"] and line["agent"] and line["facts"] for line in of_these)

    by_approver = [line for line in await decisions(greta, f"approver={approver}") if line["run"] == run]
    assert [(line["target"], line["lane"], line["approver"]) for line in by_approver] == [
        ("issue_refund", "approval", approver)
    ] * 2
    assert by_approver[-1]["outcome"] == "done"
    assert by_approver[0]["reason"]

    policy = by_approver[0]["policies"][0]
    by_policy = await decisions(greta, f"policy={policy}")
    assert run in {line["run"] for line in by_policy}
    assert all(policy in line["policies"] for line in by_policy)
    assert len(by_policy) < len(await decisions(greta, ""))

    shown = next(line for line in by_person if line["run"] == asked["run"] and line["documents"])
    by_document = await decisions(greta, f"document={shown['documents'][0]}")
    assert asked["run"] in {line["run"] for line in by_document}
    assert run not in {line["run"] for line in by_document}
    assert await decisions(greta, "from=2001-01-01&to=2001-01-02") == []
    assert "pole" not in str(by_person + by_approver + by_policy + by_document)


async def _until_listed(greta: Client, run: str) -> None:
    while run not in {line["run"] for line in await decisions(greta, "")}:
        pass


async def test_a_siem_gets_every_event_once_and_goes_on_where_it_was(client: SignIn, stack: Stack) -> None:
    run = await refunded(client)
    told = await mandate("evidence", "export", "--ocsf", "--user", GRETA, "--url", stack.url)
    assert told.code == 0, told.output
    *lines, last = told.output.splitlines()
    first = [orjson.loads(line) for line in lines]
    uids = [event["metadata"]["uid"] for event in first]
    assert len(uids) == len(set(uids))
    ours = [event for event in first if event["metadata"]["correlation_uid"] == run]
    assert [event["metadata"]["sequence"] for event in ours] == list(range(1, len(ours) + 1))
    assert {event["class_uid"] for event in first} == {3004, 6003}
    assert "pole" not in told.output

    cursor = last.removeprefix("Go on with --after ")
    again = await refunded(client)
    told = await mandate("evidence", "export", "--user", GRETA, "--url", stack.url, "--after", cursor)
    more = [orjson.loads(line) for line in told.output.splitlines()[:-1]]
    assert {(event["event"]["run"], event["event"]["seq"]) for event in more}.isdisjoint(
        (event["metadata"]["correlation_uid"], event["metadata"]["sequence"]) for event in first
    )
    ours = [event for event in more if event["event"]["run"] == again]
    assert [event["event"]["seq"] for event in ours] == list(range(1, len(ours) + 1))
    assert (await mandate("evidence", "export", "--user", SANDER, "--url", stack.url)).code == 1


async def test_the_pages_of_the_same_size_give_the_same(client: SignIn) -> None:
    await refunded(client)
    greta = await client(GRETA)
    whole: Any = await greta.get("/v1/evidence/events?limit=40")
    pieces: list[Any] = []
    cursor = ""
    while len(pieces) < 40:
        page: Any = await greta.get(f"/v1/evidence/events?limit=7{cursor}")
        pieces += page["items"]
        cursor = f"&cursor={page['cursor']}"
    assert pieces[:40] == whole["items"]
    assert (await greta.ask("GET", "/v1/evidence/events?cursor=AAAA")).status == 400


async def test_the_store_verifies_and_what_is_deleted_from_it_is_named(
    client: SignIn, stack: Stack, tmp_path: Path
) -> None:
    run = await refunded(client)
    told = await mandate("evidence", "verify", "--folder", str(stack.folder))
    assert told.code == 0, told.output
    copy = tmp_path / "copy"
    copy.mkdir()
    with sqlite3.connect(stack.folder / "mandate.db") as source, sqlite3.connect(copy / "mandate.db") as target:
        source.backup(target)
    shutil.copy(stack.folder / EVIDENCE_KEY, copy)
    shutil.copytree(stack.folder / ANCHORS, copy / ANCHORS)
    assert (await mandate("evidence", "verify", "--folder", str(copy))).code == 0
    with sqlite3.connect(copy / "mandate.db") as forged:
        forged.execute("DELETE FROM events WHERE run = ? AND seq > 3", (run,))
    told = await mandate("evidence", "verify", "--folder", str(copy))
    assert (told.code, f"{run} event 4: it is missing" in told.output) == (1, True), told.output
    one = await mandate("evidence", "verify", "--folder", str(copy), "--run", run)
    assert (one.code, f"{run} event 4: it is missing" in one.output) == (1, True), one.output
    with sqlite3.connect(copy / "mandate.db") as forged:
        forged.execute("DELETE FROM events WHERE run = ?", (run,))
    told = await mandate("evidence", "verify", "--folder", str(copy))
    assert f"{run}: the whole run is missing: a checkpoint covers it" in told.output
    with sqlite3.connect(copy / "mandate.db") as forged:
        forged.execute("DELETE FROM events")
        forged.execute("DELETE FROM records WHERE kind LIKE 'evidence%'")
    told = await mandate("evidence", "verify", "--folder", str(copy))
    assert (told.code, "checkpoint 1: it is anchored, and missing here" in told.output) == (1, True), told.output


async def test_the_console_shows_checkpoints_and_verifies_one(client: SignIn, console: Console) -> None:
    run = await refunded(client)
    page = await console(GRETA, f"/runs/{run}")
    await expect(page.locator("#chain")).to_contain_text("Covered by a checkpoint: number ")
    await page.goto("/evidence")
    await page.click("#checkpoints tbody tr:first-child a:has-text('Verify')")
    await expect(page.locator("#checked")).to_contain_text("holds.")
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
