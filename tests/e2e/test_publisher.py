"""The publisher's own pages: for its people alone, and what they do there reaches the customer and the record."""

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import aiohttp
import pytest
from browsing import strict
from commands import SignIn
from playwright.async_api import Browser, Page
from test_console_quality import problems_of

from mandate.client import Client
from mandate.local.stack import Stack

PUBLISHER = "5e6f1c1e-0000-4000-8000-00000000cafe"
PETRA, OTTO, NILS = (f"{name}@publisher.example" for name in ("petra", "otto", "nils"))
MIA = "mia@alderfinch.example"
PAGES = tuple(f"/publisher{page}" for page in ("", "/subscriptions", "/metering", "/tenants", "/switches"))
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
async def bought(stack: Stack, session: aiohttp.ClientSession) -> str:
    """A subscription that a partner bought for somebody, not begun yet, which the publisher knows of."""
    form = {"plan": "team", "beneficiary": "pat@personal.example", "name": f"For {SCRIPT}", "deal": "customer"}
    async with session.post(f"{stack.url}/shop/buy", data=form, allow_redirects=False) as answer:
        subscription = answer.headers["x-subscription"]
    petra = await staff(session, stack, PETRA)
    assert await posted(session, stack, petra, "/publisher/comparison", {}) == 303
    return subscription


async def staff(session: aiohttp.ClientSession, stack: Stack, username: str) -> Client:
    return await Client.signed_in(session, stack.url, PUBLISHER, username)


async def posted(session: aiohttp.ClientSession, stack: Stack, who: Client, path: str, form: dict[str, str]) -> int:
    headers = {"Authorization": f"Bearer {who.token}", "Accept": "text/html"}
    async with session.post(f"{stack.url}{path}", data=form, headers=headers, allow_redirects=False) as answer:
        return answer.status


async def read(session: aiohttp.ClientSession, stack: Stack, who: Client, path: str) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {who.token}", "Accept": "text/html"}
    async with session.get(f"{stack.url}{path}", headers=headers, allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def test_no_customer_reaches_the_publishers_pages(
    stack: Stack, session: aiohttp.ClientSession, client: SignIn, bought: str
) -> None:
    mia = await client(MIA)
    acts = [f"/publisher/subscriptions/{bought}/{act}" for act in ("activation", "change", "fixing")]
    acts += ["/publisher/comparison", "/publisher/switches/off", "/publisher/switches/on"]
    assert {await posted(session, stack, mia, path, {"reason": "mine now"}) for path in acts} == {404}
    pages = [*PAGES, f"/publisher/subscriptions/{bought}"]
    assert {(await read(session, stack, mia, path))[0] for path in pages} == {404}
    for path in (
        "/v1/subscriptions",
        "/v1/health",
        "/v1/offer",
    ):  # the control plane's, asked with a person's own token
        async with session.get(
            f"{stack.address('control')}{path}", headers={"Authorization": f"Bearer {mia.token}"}
        ) as answer:
            assert answer.status == 401, path


async def test_who_may_look_may_not_act_and_who_has_no_role_sees_nothing(
    stack: Stack, session: aiohttp.ClientSession, bought: str
) -> None:
    otto, nils = await staff(session, stack, OTTO), await staff(session, stack, NILS)
    for path in PAGES:
        status, page = await read(session, stack, otto, path)
        assert status == 200
        assert 'method="post"' not in page, path
        assert (await read(session, stack, nils, path))[0] == 403
    assert await posted(session, stack, otto, "/publisher/comparison", {}) == 403
    assert await posted(session, stack, otto, f"/publisher/subscriptions/{bought}/activation", {"reason": "x"}) == 403
    async with session.get(f"{stack.url}/v1/me", headers={"Authorization": f"Bearer {otto.token}"}) as answer:
        assert answer.status == 403, "the publisher's people are members of no tenant"


async def test_what_is_done_is_told_with_who_and_why_and_reaches_the_customer(
    stack: Stack, session: aiohttp.ClientSession, client: SignIn, bought: str
) -> None:
    petra, mia = await staff(session, stack, PETRA), await client(MIA)
    path = f"/publisher/subscriptions/{bought}"
    assert await posted(session, stack, petra, f"{path}/activation", {}) == 422, "nothing without a reason"
    assert await posted(session, stack, petra, f"{path}/activation", {"reason": f"Pat agreed {SCRIPT}"}) == 303
    assert await posted(session, stack, petra, f"{path}/fixing", {"reason": "Instalments", "fixed": "true"}) == 303
    change = {"plan": "business", "reason": "Pat asked"}
    assert await posted(session, stack, petra, f"{path}/change", change) == 409, "it is fixed"
    _, page = await read(session, stack, petra, path)
    for told in (
        "Petra Vos",
        "Pat agreed &lt;script&gt;",
        "The publisher had it begun",
        "Ids given with the plan",
        "Active",
    ):
        assert told in page, told
    assert SCRIPT not in page
    tenant = re.findall(r"ten_\w+", str(await mia.get("/v1/me")))[0]
    message = {"text": "We move on Sunday.", "days": "3"}
    assert await posted(session, stack, petra, f"/publisher/tenants/{tenant}/notices", message) == 303
    assert "We move on Sunday." in (await read(session, stack, mia, "/account"))[1]
    user = await client("sander@alderfinch.example")
    assert "We move on Sunday." not in (await read(session, stack, user, "/account"))[1]


@pytest.fixture
async def petras(stack: Stack, browser: Browser, bought: str) -> AsyncGenerator[Page]:
    context = await browser.new_context(base_url=stack.url, reduced_motion="reduce")
    page = strict(await context.new_page())
    await page.goto("/publisher")
    await page.click(f'button[value="{PETRA}"]')
    await page.wait_for_url(f"{stack.url}/publisher")
    yield page
    await context.close()


async def test_the_pages_can_be_used_by_everybody_and_on_a_small_telephone(
    petras: Page, node_folder: Path, bought: str
) -> None:
    axe = await asyncio.to_thread((node_folder / "node_modules" / "axe-core" / "axe.min.js").read_text)
    await petras.goto("/publisher/tenants")
    tenant = await petras.locator('main a[href^="/publisher/tenants/ten_"]').first.get_attribute("href")
    found: dict[str, object] = {}
    for path in (*PAGES, f"/publisher/subscriptions/{bought}", str(tenant)):
        await petras.set_viewport_size({"width": 1200, "height": 900})
        await petras.goto(path)
        for theme in ("light", "dark"):
            await petras.emulate_media(color_scheme=theme)
            if problems := await problems_of(petras, axe):
                found[f"{path} {theme}"] = problems
        await petras.set_viewport_size({"width": 320, "height": 640})
        if (width := await petras.evaluate("document.documentElement.scrollWidth")) > 320:
            found[f"{path} wide"] = width
    assert found == {}


async def test_another_site_makes_nobodys_browser_act_and_a_session_ends(
    petras: Page, stack: Stack, bought: str
) -> None:
    forged = await petras.evaluate(
        """async (path) => (await fetch(path, {method: "POST", redirect: "manual",
          headers: {"Content-Type": "application/x-www-form-urlencoded"},
          body: "csrf=guess&reason=x&fixed=true"})).status""",
        f"/publisher/subscriptions/{bought}/fixing",
    )
    assert forged == 403
    cookies = {cookie["name"] for cookie in await petras.context.cookies()}  # pyright: ignore[reportTypedDictNotRequiredAccess]
    assert "__Host-mandate" not in cookies, "it opens no customer's page"
    await petras.get_by_role("button", name="Sign out").click()
    await petras.wait_for_url(f"{stack.url}/signed-out")
    await petras.goto("/publisher")
    assert "/identity/" in petras.url
