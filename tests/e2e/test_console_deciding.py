"""Several people decide, deputies, how people decide, and taking back: in a real browser."""

import asyncio
import os
from pathlib import Path
from typing import Any

from browsing import Console
from commands import SignIn
from playwright.async_api import Page, expect

from core import Json
from mandate.api import Run

SANDER, NOOR, JONAS = "sander@alderfinch.example", "noor@alderfinch.example", "jonas@alderfinch.example"
MIA, GRETA = "mia@alderfinch.example", "greta@alderfinch.example"
TWO = (
    '@id("two-for-this") @lane("approval") @approvers("2") @reason("This amount takes two.") '
    'permit (principal, action == Mandate::Action::"call_tool", resource) '
    "when { context has amount_cents && context.amount_cents == 491 };"
)


async def says(page: Page, text: str) -> None:
    await expect(page.locator("main")).to_contain_text(text, timeout=15_000)


async def ask_refund(client: SignIn, amount: str) -> Run:
    message = f"Please refund {amount} EUR for order A-20398 because the parcel came late."
    run = Run.model_validate(await (await client(SANDER)).post("/v1/runs", {"agent": "support", "message": message}))
    assert run.pending_approval is not None, run.state
    return run


async def shown(page: Page, name: str) -> None:
    """Keep a picture where somebody wants to look at it."""
    if folder := os.environ.get("MANDATE_PICTURES"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def approve(page: Page, reason: str) -> None:
    await page.check("input[value=approved]")
    await page.fill("textarea", reason)
    await page.check("input[name=confirm]")
    await page.click("text='Decide'")


async def test_two_people_approve_and_the_inbox_and_the_run_say_how_many_have(console: Console, client: SignIn) -> None:
    mia = await client(MIA)
    own: Any = await mia.ask("GET", "/v1/policies")
    body: Json = {"text": f"{own.body['text']}\n{TWO}", "reason": "Two for this amount."}
    assert (await mia.ask("PUT", "/v1/policies", body, If_Match=own.headers["ETag"])).status == 200
    run = await ask_refund(client, "4.91")
    assert run.pending_approval
    address = f"/approvals/{run.pending_approval.approval}"

    first = await console(NOOR, address)
    await says(first, "0 of 2 approved")
    await says(first, "another person has to approve it too")
    await approve(first, "The carrier says so.")
    await says(first, "1 of 2 approved")
    await says(first, "You have approved this already")
    await shown(first, "one-of-two")

    inbox = await console(JONAS, "/approvals")
    line = inbox.locator(f"[id='{run.pending_approval.approval}']")
    await expect(line).to_contain_text("1 of 2 approved")
    await shown(inbox, "inbox")
    asker = await console(SANDER, f"/runs/{run.run}")
    await says(asker, "1 of 2 approved")
    await line.locator("a").click()
    await says(inbox, "The carrier says so.")
    await approve(inbox, "I called the carrier.")
    await says(inbox, "The run completed")
    await says(inbox, "2 of 2 approved")
    await asker.goto(f"/runs/{run.run}/timeline")
    await says(asker, "A person approved, and others have to as well: Noor Haddad")
    back: Json = {"text": own.body["text"], "reason": "As before."}
    now: Any = await mia.ask("GET", "/v1/policies")
    assert (await mia.ask("PUT", "/v1/policies", back, If_Match=now.headers["ETag"])).status == 200


async def test_a_refund_is_taken_back_from_the_page_of_the_run(console: Console, client: SignIn) -> None:
    run = await ask_refund(client, "4.92")
    assert run.pending_approval
    decision: Json = {"verdict": "approved", "reason": "The carrier confirms it."}
    await (await client(JONAS)).post(f"/v1/approvals/{run.pending_approval.approval}/decision", decision)
    page = await console(SANDER, f"/runs/{run.run}")
    await says(page, "What was done")
    await page.click("summary:has-text('Take this back')")
    await page.fill("textarea[name=reason]", "It was the wrong order.")
    await shown(page, "take-back")
    await page.click("button:has-text('Take this back')")
    await says(page, "It waits for a person.")
    await says(page, "It was the wrong order.")
    await shown(page, "taking-back")
    await page.click("text='What an earlier run did'")
    await says(page, "Is being taken back")

    await page.click("text='The run that takes it back'")
    approver = await console(NOOR, "/approvals")
    await approver.locator(".items a", has_text="Takes refund").first.click()
    await says(approver, "before it is paid out")
    await says(approver, "Pays 4.92")
    await shown(approver, "approve-taking-back")
    await approve(approver, "Right, the wrong order.")
    await says(approver, "The run completed")
    await page.goto(f"/runs/{run.run}")
    await says(page, "Taken back")
    await shown(page, "taken-back")


async def test_a_flagged_answer_is_a_case_for_evaluation(client: SignIn) -> None:
    sander, greta = await client(SANDER), await client(GRETA)
    asked: Json = {"agent": "support", "message": "How long does a customer have to send something back?"}
    run = Run.model_validate(await sander.post("/v1/runs", asked))
    await sander.post(f"/v1/runs/{run.run}/flags", {"kind": "wrong", "reason": "It is longer in winter."})
    async with asyncio.timeout(15):
        while not (found := [one for one in await cases(greta) if one["run"] == run.run]):  # noqa: ASYNC110 - another process's list
            await asyncio.sleep(0.2)
    (case,) = found
    assert (case["asked"], case["wrong"], case["kind"]) == (asked["message"], "It is longer in winter.", "wrong")
    assert case["version"].startswith("support@")
    assert case["answer"]
    assert any(source["cited"] for source in case["sources"])
    assert (await sander.ask("GET", "/v1/flags/cases")).status == 403


async def cases(client: Any) -> Any:
    return (await client.get("/v1/flags/cases"))["items"]


async def test_an_approver_names_a_deputy_and_ends_it(console: Console) -> None:
    page = await console(NOOR, "/deputies")
    offered = await page.locator("select[name=deputy] option").all_inner_texts()
    assert not {"Noor Haddad", "Greta Lindqvist"} & set(offered)  # oneself, and an auditor, who decides nothing
    await page.select_option("select[name=deputy]", label="Sander Claes")
    await page.click("button:has-text('Name a deputy')")
    await says(page, "Noor Haddad")
    await expect(page.locator("tbody")).to_contain_text("Now")
    await shown(page, "deputies")
    deputy = await console(SANDER, "/approvals")
    await says(deputy, "Sander Claes decides in the place of Noor Haddad until")
    await says(deputy, "What agents want to do and may not without a person")
    await page.click("text='End this'")
    await says(page, "Nobody has a deputy")
    await deputy.goto("/approvals")
    await says(deputy, "What your agents asked a colleague to decide")


async def test_an_admin_says_when_changes_come_and_members_see_it(console: Console, client: SignIn) -> None:
    page = await console(MIA, "/changes")
    await says(page, "Nothing is announced")
    await page.click("summary:has-text('Add a window')")
    await page.select_option("select[name=day]", "tue")
    await page.click("button:has-text('Add a window')")
    await says(page, "Tuesday")
    await page.click("summary:has-text('Add a freeze')")
    await page.click("button:has-text('Add a freeze')")
    await expect(page.locator("button:has-text('Remove')")).to_have_count(2)
    await shown(page, "changes")
    await page.set_viewport_size({"width": 320, "height": 800})
    await page.emulate_media(color_scheme="dark")
    await shown(page, "changes-small-dark")
    member = await console(SANDER, "/changes")
    await says(member, "Tuesday")
    await expect(member.locator("main button")).to_have_count(0)
    refused = await (await client(SANDER)).ask("PUT", "/v1/changes/windows", {"windows": [], "freezes": []})
    assert refused.status == 403
    await (await client(MIA)).ask("PUT", "/v1/changes/windows", {"windows": [], "freezes": []})
    told: Any = await (await client(SANDER)).get("/v1/changes")
    assert (told["windows"]["windows"], told["items"]) == ([], [])


async def test_an_auditor_sees_how_people_decide_and_a_user_does_not(console: Console, client: SignIn) -> None:
    run = await ask_refund(client, "4.93")
    assert run.pending_approval
    decision: Json = {"verdict": "approved", "reason": "The carrier confirms it."}
    await (await client(JONAS)).post(f"/v1/approvals/{run.pending_approval.approval}/decision", decision)
    page = await console(GRETA, "/approvals")
    await page.click("text='How people decide'")
    await says(page, "Jonas Brandt")
    await says(page, "issue_refund")
    await says(page, "That alone is no fault")
    await shown(page, "deciding")
    await page.set_viewport_size({"width": 320, "height": 800})
    assert await page.evaluate("document.documentElement.scrollWidth <= 320")
    await shown(page, "deciding-narrow")
    answer = await (await client(SANDER)).ask("GET", "/v1/approvals/measures")
    assert answer.status == 403
