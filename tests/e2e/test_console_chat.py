"""The chat in a real browser: asking, waiting, stopping, trying again, losing the connection; what attackers get."""

import asyncio
import re
from urllib.parse import urlsplit

import aiohttp
import pytest
from browsing import Console
from commands import SignIn
from playwright.async_api import Page, Route, expect

from core import Json
from mandate.client import Client
from mandate.demo.host import Host
from mandate.local.stack import Stack

SANDER, NOOR, MIA, GRETA = (f"{name}@alderfinch.example" for name in ("sander", "noor", "mia", "greta"))
QUESTION = "How long does a customer have to send something back if they changed their mind?"
REFUND = "Please refund 0.01 EUR for order A-20424 because the parcel came late."
LONG = "Which sizes does the two-person tent have, and how much wind can it take?"
ANSWER = ".exchange .answer"
MAX_PAGE = 150_000

BREAKABLE = """
const real = window.fetch;
window.fetch = async (...asked) => {
  const response = await real(...asked);
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) return response;
  const cut = new Promise((_, fail) => addEventListener("cut", () => fail(new TypeError("network error"))));
  cut.catch(() => {});
  const reader = response.body.getReader();
  const body = new ReadableStream({
    async pull(stream) {
      try {
        const { done, value } = await Promise.race([reader.read(), cut]);
        if (done) stream.close();
        else stream.enqueue(value);
      } catch (error) {
        reader.cancel();
        stream.error(error);
      }
    },
  });
  return new Response(body, { status: response.status, headers: response.headers });
};
"""
"""Makes streams that end as a broken connection ends them: being offline stops new requests only."""


@pytest.fixture
def host(stack: Stack, session: aiohttp.ClientSession) -> Host:
    return Host(stack, session)


async def ask(page: Page, text: str) -> None:
    """Send a message as people do: type, and press Enter."""
    await page.fill("#message", text)
    await page.press("#message", "Enter")


async def asked(page: Page, text: str) -> None:
    """Send a message, and wait until what came of it is drawn by the server."""
    await ask(page, text)
    await page.wait_for_selector(f".exchange:last-child[data-address] .said >> text={text[:20]}")


async def runs_of(client: Client, page: Page) -> list[dict[str, Json]]:
    """Return what the API says of the conversation that the page shows."""
    found = await client.get(f"/v1{urlsplit(page.url).path}")
    runs = found["runs"]
    assert isinstance(runs, list)
    return [run for run in runs if isinstance(run, dict)]


async def test_a_question_by_keyboard_alone_is_answered_and_its_passage_opens(console: Console) -> None:
    page = await console(SANDER)
    assert "You are talking to an AI system" in await page.inner_text(".disclosure")
    await page.focus("#message")
    await page.keyboard.type("How long does a customer have")
    await page.keyboard.press("Shift+Enter")
    assert await page.input_value("#message") == "How long does a customer have\n"
    await page.keyboard.type("to send something back if they changed their mind?")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(ANSWER)
    assert "45 days" in await page.inner_text(ANSWER)
    assert await page.evaluate("document.activeElement.id") == "message"
    assert "/conversations/cnv_" in page.url
    await expect(page.locator("#lines a[aria-current=page] .title")).to_contain_text("How long does a customer")
    await expect(page.locator("#told")).to_contain_text("The answer is there.")
    await page.focus(f"{ANSWER} .citation")
    await page.keyboard.press("Enter")
    passage = await page.inner_text("#source[open] .passage")
    for told in ("Refund policy", "Mia Verhoeven", "Internal", "45 days"):
        assert told in passage
    await page.keyboard.press("Escape")
    assert await page.evaluate("document.activeElement.className") == "citation"
    assert "Open the sources" in await page.inner_text(".grounding")
    await page.click(".steps summary")
    assert "Looking into the documents." in await page.inner_text(".steps")
    await page.reload()
    assert await page.locator(".exchange").count() == 1


async def test_a_refund_waits_for_somebody_and_shows_what_they_decided_without_a_reload(
    console: Console, client: SignIn
) -> None:
    page, noor = await console(SANDER), await client(NOOR)
    await ask(page, REFUND)
    card = page.locator(".action.warn")
    await expect(card).to_contain_text("Waits for a decision")
    told = await card.inner_text()
    for word in ("Pays 0.01", "approver or the owner", "They can decide until", "publisher/money-needs-approval"):
        assert word in told
    assert await page.is_visible("#send")
    link = await card.locator("a").get_attribute("href") or ""
    assert re.fullmatch(r"/approvals/apr_\w+", link)
    await noor.post(f"/v1{link}/decision", {"verdict": "denied", "reason": "The parcel was on time."})
    await expect(page.locator(".action.bad")).to_contain_text("Not approved by Noor Haddad")
    await expect(page.locator(".action.bad q")).to_have_text("The parcel was on time.")
    await page.wait_for_selector(ANSWER)


async def test_somebody_stops_the_agent_tries_again_and_changes_what_they_asked(
    console: Console, client: SignIn, host: Host
) -> None:
    page, sander = await console(SANDER), await client(SANDER)
    async with host.fault("stall_mid=20,only=chat"):
        await ask(page, LONG)
        await expect(page.locator(".streamed")).not_to_be_empty()
        await page.click("#stop")
        await expect(page.locator(".exchange .notice")).to_contain_text("It was ended before it was finished.")
    assert await page.is_visible("#send")
    first = (await runs_of(sander, page))[0]["run"]
    await page.click("text=Try again")
    await page.wait_for_selector(ANSWER)
    assert await page.locator(".exchange").count() == 1
    second = (await runs_of(sander, page))[0]["run"]
    assert second != first
    await page.click(".exchange >> text=Edit")
    assert await page.input_value("#message") == LONG
    await page.fill("#message", QUESTION)
    await page.press("#message", "Enter")
    await expect(page.locator(ANSWER)).to_contain_text("45 days")
    runs = await runs_of(sander, page)
    assert [run["message"] for run in runs] == [QUESTION]
    assert runs[0]["run"] not in (first, second)
    assert "edit" not in page.url


async def test_a_connection_lost_in_the_middle_loses_and_repeats_nothing(
    console: Console, client: SignIn, host: Host
) -> None:
    page, sander = await console(SANDER), await client(SANDER)
    await page.add_init_script(BREAKABLE)
    await page.reload()
    async with host.fault("stall_mid=4,only=chat"):
        await ask(page, QUESTION)
        await expect(page.locator(".streamed")).not_to_be_empty()
        await page.context.set_offline(offline=True)
        await page.evaluate("dispatchEvent(new Event('cut'))")
        await expect(page.locator("#now")).to_contain_text("The connection is lost.")
        await page.context.set_offline(offline=False)
        await page.wait_for_selector(ANSWER)
    [run] = await runs_of(sander, page)
    answer = run["answer"]
    assert isinstance(answer, dict)
    assert await page.locator(".exchange").count() == 1
    assert str(answer["text"])[:60] in await page.inner_text(ANSWER)
    assert (await page.inner_text(ANSWER)).count("45 days") == str(answer["text"]).count("45 days")


async def test_a_message_whose_sending_broke_is_sent_again_and_answered_once(console: Console, client: SignIn) -> None:
    page, sander = await console(SANDER), await client(SANDER)
    keys: list[str] = []

    async def break_off_once(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            return await route.continue_()
        await route.fetch()
        return await route.abort("connectionreset")

    await page.route("**/v1/runs", break_off_once)
    await ask(page, QUESTION)
    await page.wait_for_selector(ANSWER)
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert len(await runs_of(sander, page)) == 1
    assert await page.locator(".exchange").count() == 1


async def test_a_second_tab_is_told_that_the_agent_is_busy_and_keeps_what_was_typed(
    console: Console, host: Host
) -> None:
    page = await console(SANDER)
    await asked(page, QUESTION)
    other = await page.context.new_page()
    await other.goto(page.url)
    async with host.fault("stall_mid=3,only=chat"):
        await ask(page, LONG)
        await expect(page.locator(".streamed")).not_to_be_empty()
        await ask(other, "And in winter?")
        await expect(other.locator("#notices")).to_contain_text("still answering")
        assert await other.input_value("#message") == "And in winter?"
        await expect(other.locator(".exchange")).to_have_count(2)
        await expect(other.locator(f".exchange:last-child {ANSWER.split()[1]}")).to_be_visible()


async def look_for(page: Page, words: str) -> None:
    await page.goto("/")
    await page.fill("#look-for", words)
    await page.press("#look-for", "Enter")
    await expect(page.locator("#lines")).to_contain_text(f"with “{words}”")


async def test_a_conversation_is_renamed_found_and_erased(console: Console) -> None:
    page = await console(SANDER)
    await asked(page, "What do we charge to put a new zip in a jacket?")
    await page.click("[popovertarget=rename]")
    await page.fill("#rename [name=title]", "Zips & <b>jackets</b>")
    await page.press("#rename [name=title]", "Enter")
    await expect(page.locator("h1")).to_have_text("Zips & <b>jackets</b>")
    address = page.url
    async with asyncio.timeout(10):  # lists are a moment behind the log
        await look_for(page, "new ZIP jacket")
        while not await page.locator("#lines a >> text=Zips").count():
            await look_for(page, "new ZIP jacket")
    await page.click("#lines a >> text=Zips")
    await page.wait_for_selector(ANSWER)
    assert "/exchanges/" in page.url
    await page.goto(address)
    await page.click("[popovertarget=delete]")
    await page.click("#delete >> text=Delete for good")
    await page.wait_for_url("**/")
    assert await page.locator("#lines >> text=Zips").count() == 0
    gone = await page.goto(address)
    assert gone is not None
    assert gone.status == 404


async def test_an_answer_is_flagged_with_a_reason(console: Console, client: SignIn) -> None:
    page, mia = await console(SANDER), await client(MIA)
    await asked(page, QUESTION)
    await page.click(".tools >> text=Flag")
    await page.select_option(".flags [name=kind]", "not_grounded")
    await page.fill(".flags [name=reason]", "Nothing says so for gift cards.")
    await page.click(".flags >> text=Send")
    await expect(page.locator(".tools")).to_contain_text("You flagged this: The sources do not say so")
    async with asyncio.timeout(10):
        while "Nothing says so for gift cards." not in str(await mia.get("/v1/flags")):  # noqa: ASYNC110 - the product makes the list
            await asyncio.sleep(0.1)


async def test_without_script_a_message_is_sent_answered_changed_and_flagged(console: Console) -> None:
    page = await console(SANDER, java_script_enabled=False)
    await page.fill("#message", QUESTION)
    await page.click("#send")
    assert "45 days" in await page.inner_text(ANSWER)
    await page.click(f"{ANSWER} .citation")
    assert "Refund policy" in await page.inner_text("#passage")
    await page.go_back()
    await page.click("text=Edit")
    await page.fill("#message", "What do we charge to put a new zip in a jacket?")
    await page.click("#send")
    assert "32 euros" in await page.inner_text(ANSWER)
    assert await page.locator(".exchange").count() == 1
    async with asyncio.timeout(10):  # lists are a moment behind the log
        while not await page.locator("#found >> text=new zip").count():
            await page.goto("/")
            await page.fill("#look-for", "zip jacket")
            await page.click("[aria-label='Search your conversations']")
    assert "new zip" in await page.inner_text("#found")


async def test_an_auditor_reads_a_conversation_and_is_told_why_they_cannot_write(console: Console) -> None:
    page, greta = await console(SANDER), await console(GRETA)
    await asked(page, QUESTION)
    assert await greta.locator("#message").count() == 0
    assert "starts nothing" in await greta.inner_text(".cannot")
    await greta.goto(page.url)
    assert "45 days" in await greta.inner_text(ANSWER)
    assert "Sander Claes" in await greta.inner_text(".cannot")
    assert await greta.locator("#message, .ask, [popovertarget=delete]").count() == 0


async def test_nothing_that_anybody_wrote_is_more_than_text(console: Console, client: SignIn) -> None:
    page, mia = await console(SANDER), await client(MIA)
    script = "<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>"
    text = (
        f"The zorbing deposit is 77 euros {script} [pay here](javascript:window.broken=1) ![x](https://evil.example/x)."
    )
    await mia.post("/v1/documents", {"collection": "policies", "title": f"Zorbing {script}", "text": text})
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    await ask(page, f"How many euros is the zorbing deposit? {script}")
    await expect(page.locator(ANSWER)).to_contain_text("77 euros")
    await page.click(f"{ANSWER} .citation >> nth=0")
    await page.wait_for_selector("#source[open]")
    for _ in range(2):
        assert await page.evaluate("window.broken") is None
        assert await page.locator("#exchanges :is(script, img), #source :is(script, img), h1 > *").count() == 0
        assert await page.locator("a[href^='javascript']").count() == 0
        await page.reload()
    assert not [address for address in loaded if "evil" in address]


async def test_a_long_conversation_pages_backwards(console: Console, client: SignIn) -> None:
    sander = await client(SANDER)
    hello: dict[str, Json] = {"agent": "support", "message": "Hello number 1", "use_knowledge": False}
    conversation = (await sander.post("/v1/runs", hello))["conversation"]
    for number in range(2, 13):
        await sander.post("/v1/runs", {**hello, "message": f"Hello number {number}", "conversation": conversation})
    page = await console(SANDER, f"/conversations/{conversation}")
    assert await page.locator(".exchange").count() == 10
    await page.click("text=Show earlier messages")
    assert await page.locator(".said .words").all_inner_texts() == ["Hello number 1", "Hello number 2"]
    assert await page.locator("#message").count() == 0
    await page.click("text=Back to the latest messages")
    assert "Hello number 12" in await page.inner_text(".exchange:last-child")


async def test_what_was_typed_is_there_again_in_its_own_conversation(console: Console) -> None:
    page = await console(SANDER)
    await asked(page, QUESTION)
    await page.fill("#message", "And what about")
    address = page.url
    await page.goto("/")
    assert not await page.input_value("#message")
    await page.goto(address)
    assert await page.input_value("#message") == "And what about"


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_a_conversation_fits_where_it_is_narrow_and_is_small(console: Console, theme: str) -> None:
    page = await console(SANDER, color_scheme=theme, viewport={"width": 320, "height": 640})
    await asked(page, QUESTION)
    await asked(page, REFUND)
    await page.reload()
    for opened in ("", "#conversations", "#rename", "#delete", f"{ANSWER} .citation"):
        if opened.startswith("#"):
            await page.click(f"[popovertarget={opened[1:]}]:visible")
        elif opened:
            await page.click(opened)
            await page.wait_for_selector("#source[open]")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
        await page.keyboard.press("Escape")
    size = "performance.getEntries().reduce((sum, entry) => sum + (entry.decodedBodySize ?? 0), 0)"
    assert 0 < await page.evaluate(size) < MAX_PAGE
    assert await page.locator("h1").count() == 1
    assert await page.locator("[style]:not(#message), [onclick], script:not([src]), style").count() == 0
