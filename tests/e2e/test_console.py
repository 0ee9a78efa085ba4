"""The console in a real browser: signing in and out, the look of its pages, and what attackers get."""

import re

import aiohttp
import pytest
from browsing import Console, choose
from playwright.async_api import Browser, Page

from control import SessionRecord, contexts
from data.sqlite import open_store
from interaction.cookies import SESSION_COOKIE
from mandate.local.stack import Stack

MIA, SANDER, DARIO = "mia@alderfinch.example", "sander@alderfinch.example", "dario@quillmere.example"
MAX_PAGE = 150_000
HTML = {"Accept": "text/html"}


async def cookie_of(page: Page) -> str:
    cookies = await page.context.cookies()
    return next(str(cookie.get("value")) for cookie in cookies if cookie.get("name") == SESSION_COOKIE)


async def csrf_of(page: Page) -> str:
    return await page.locator('meta[name="csrf"]').get_attribute("content") or ""


async def send(stack: Stack, method: str, path: str, *, cookie: str = "", **headers: str) -> tuple[int, str, str]:
    """Send a request as any program can, and return status, where it leads, and the body."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if cookie:
        sent["Cookie"] = f"{SESSION_COOKIE}={cookie}"
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.request(method, f"{stack.url}{path}", headers=sent, allow_redirects=False) as response,
    ):
        return response.status, response.headers.get("Location", ""), await response.text()


async def test_somebody_signs_in_reads_the_register_and_signs_out(console: Console, stack: Stack) -> None:
    page = await console(MIA)
    assert "Mia" in await page.inner_text("nav")
    await page.click("nav >> text=Agents")
    await page.click("main >> text=Support agent")
    text = await page.inner_text("main")
    for told in ("You are talking to an AI system", "What it must not be used for", "issue_refund", "Cannot be undone"):
        assert told in text
    await page.goto("/account")
    assert "Alderfinch Outfitters" in await page.inner_text("main")
    cookie = await cookie_of(page)
    await page.click("main >> text='Sign out'")
    assert page.url == f"{stack.url}/signed-out"
    assert SESSION_COOKIE not in {cookie.get("name") for cookie in await page.context.cookies()}
    assert (await send(stack, "GET", "/v1/me", cookie=cookie))[0] == 401
    await page.click("text=Leave the identity provider too")
    assert page.url == f"{stack.url}/signed-out"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/agents", "/agents/support", "/account"])
async def test_a_page_fits_is_small_and_is_drawn_in_the_readers_theme(console: Console, path: str, theme: str) -> None:
    page = await console(MIA, path, color_scheme=theme, viewport={"width": 320, "height": 640})
    for width in (320, 768, 1280):
        await page.set_viewport_size({"width": width, "height": 640})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
    ground = await page.evaluate(
        "getComputedStyle(document.body).backgroundColor + getComputedStyle(document.body).color"
    )
    first, *_, last = [int(value) for value in re.findall(r"\d+", ground)]
    assert (first > 128, last < 128) == ((True, True) if theme == "light" else (False, False))
    sizes = await page.evaluate(
        "performance.getEntries().reduce((sum, entry) => sum + (entry.decodedBodySize ?? 0), 0)"
    )
    assert 0 < sizes < MAX_PAGE
    assert await page.locator("h1").count() == 1
    assert await page.locator("[style]:not(#message), [onclick], script:not([src]), style").count() == 0


async def test_the_theme_that_somebody_chose_stays_and_is_drawn_by_the_server(console: Console, stack: Stack) -> None:
    page = await console(MIA, "/agents", color_scheme="light")
    await page.click("[data-theme-toggle]")
    assert await page.get_attribute("html", "data-theme") == "dark"
    drawn = await (await page.context.request.get(f"{stack.url}/agents")).text()
    assert '<html lang="en" data-theme="dark">' in drawn


async def test_the_keyboard_reaches_everything_and_shows_where_it_is(console: Console) -> None:
    page = await console(MIA, "/agents")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Support agent"
    assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


async def test_where_it_is_narrow_the_menu_opens_and_closes(console: Console) -> None:
    page = await console(MIA, "/agents", viewport={"width": 320, "height": 640})
    assert not await page.is_visible("nav >> text=Agents")
    await page.click("[popovertarget=menu]")
    assert await page.is_visible("nav >> text=Agents")
    await page.keyboard.press("Escape")
    assert not await page.is_visible("nav >> text=Agents")


async def test_when_a_session_has_ended_somebody_signs_in_and_is_where_they_were(
    console: Console, stack: Stack
) -> None:
    page = await console(SANDER, "/agents")
    async with open_store(stack.folder / "mandate.db") as store:
        records = store.tenant(contexts.publisher("test")).records
        for found in (await records.list(SessionRecord)).items:
            await records.delete(SessionRecord, found.key, etag=found.etag)
    await page.goto("/agents/support")
    assert "/identity/common/oauth2/v2.0/authorize" in page.url
    await choose(page, SANDER)
    assert page.url == f"{stack.url}/agents/support"


async def test_signing_out_everywhere_ends_the_session_of_the_other_browser(console: Console) -> None:
    here, there = await console(DARIO, "/account"), await console(DARIO, "/agents")
    await here.reload()
    assert await here.locator("tbody tr").count() >= 2
    assert await here.locator("text=This one").count() == 1
    await here.click("text=Sign out everywhere")
    await there.goto("/agents")
    assert "/authorize" in there.url


async def test_two_tabs_sign_in_at_the_same_time(browser: Browser, stack: Stack) -> None:
    context = await browser.new_context(base_url=stack.url)
    first, second = await context.new_page(), await context.new_page()
    await first.goto("/agents")
    await second.goto("/account")
    await choose(first, MIA)
    await choose(second, MIA)
    assert [page.url for page in (first, second)] == [f"{stack.url}/agents", f"{stack.url}/account"]
    await context.close()


async def test_an_address_that_is_not_there_says_so_in_a_page_and_to_programs_in_a_problem(stack: Stack) -> None:
    status, _, body = await send(stack, "GET", "/nowhere", **HTML)
    assert (status, "There is nothing here" in body) == (404, True)
    for path, headers in (("/nowhere", {}), ("/v1/nowhere", HTML)):
        status, _, body = await send(stack, "GET", path, **headers)
        assert (status, '"code":"not_found"' in body) == (404, True)


async def test_without_a_proof_programs_get_401_and_people_are_led_to_sign_in(stack: Stack) -> None:
    assert (await send(stack, "GET", "/agents"))[0] == 401
    assert (await send(stack, "GET", "/v1/agents", **HTML))[0] == 401
    status, leads, _ = await send(stack, "GET", "/agents/support?x=1", **HTML)
    assert (status, leads) == (303, f"{stack.url}/sign-in?return_to=%2Fagents%2Fsupport%3Fx%3D1")


async def test_the_page_calls_the_api_with_its_session_and_its_token(console: Console) -> None:
    page = await console(SANDER, "/agents")
    asked = """async (headers) => (await fetch("/v1/search", {method: "POST", body: '{"text": "zip repair"}',
        headers: {"Content-Type": "application/json", ...headers}})).status"""
    assert await page.evaluate(asked, {"Mandate-CSRF": await csrf_of(page)}) == 200
    assert await page.evaluate(asked, {"Mandate-CSRF": "wrong"}) == 403
    assert await page.evaluate(asked, {}) == 403


async def test_forgery_the_cookie_alone_changes_nothing(console: Console, stack: Stack) -> None:
    page = await console(SANDER, "/account")
    cookie, csrf = await cookie_of(page), await csrf_of(page)
    for headers in (
        {},
        {"Mandate_CSRF": "wrong"},
        {"Mandate_CSRF": csrf, "Sec_Fetch_Site": "cross-site"},
        {"Mandate_CSRF": csrf, "Sec_Fetch_Site": "same-site"},
        {"Mandate_CSRF": csrf, "Origin": "https://evil.example"},
        {"Mandate_CSRF": csrf, "Origin": "null"},
    ):
        for path in ("/sign-out", "/account/sign-out-everywhere", "/v1/search"):
            status, _, body = await send(stack, "POST", path, cookie=cookie, **headers)
            assert (status, '"code":"identity.csrf"' in body) == (403, True)
    assert (await send(stack, "GET", "/v1/me", cookie=cookie))[0] == 200


async def test_fixation_a_sign_in_takes_over_no_session_that_was_there(
    browser: Browser, console: Console, stack: Stack
) -> None:
    attacker = await console(DARIO)
    planted = await cookie_of(attacker)
    context = await browser.new_context(base_url=stack.url)
    await context.add_cookies(
        [{"name": SESSION_COOKIE, "value": planted, "domain": "127.0.0.1", "path": "/", "secure": True}]
    )
    victim = await context.new_page()
    await victim.goto("/sign-in")
    await choose(victim, MIA)
    await victim.wait_for_url(f"{stack.url}/")
    assert await cookie_of(victim) != planted
    assert (await send(stack, "GET", "/v1/me", cookie=planted))[0] == 401
    await context.close()


async def test_a_sign_in_that_another_browser_began_is_refused(browser: Browser, stack: Stack) -> None:
    """Else an attacker could sign a victim in as themselves, and read what the victim then writes."""
    context, other = await browser.new_context(base_url=stack.url), await browser.new_context(base_url=stack.url)
    attacker, victim = await context.new_page(), await other.new_page()
    await attacker.route("**/signed-in?*", lambda route: route.abort())
    await attacker.goto("/sign-in")
    async with attacker.expect_request("**/signed-in?*") as sent:
        await attacker.click(f'button[value="{DARIO}"]', no_wait_after=True)
    address = (await sent.value).url
    assert "code=" in address
    response = await victim.goto(address)
    assert response is not None
    assert response.status == 400
    assert not [c for c in await other.cookies() if c.get("name") == SESSION_COOKIE]
    await context.close()
    await other.close()


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
async def test_open_redirect_nobody_leaves_by_signing_in(browser: Browser, stack: Stack, address: str) -> None:
    context = await browser.new_context(base_url=stack.url)
    page = await context.new_page()
    await page.goto(f"/sign-in?return_to={address}")
    await choose(page, MIA)
    await page.wait_for_url(f"{stack.url}/")
    await context.close()


async def test_the_cookie_is_out_of_reach(console: Console) -> None:
    page = await console(MIA)
    cookie = next(c for c in await page.context.cookies() if c.get("name") == SESSION_COOKIE)
    assert (cookie.get("httpOnly"), cookie.get("secure"), cookie.get("sameSite")) == (True, True, "Lax")
    assert (cookie.get("path"), cookie.get("domain"), cookie.get("expires")) == ("/", "127.0.0.1", -1)
    assert SESSION_COOKIE not in await page.evaluate("document.cookie")
    stored = await page.evaluate("JSON.stringify([localStorage, sessionStorage])")
    assert stored == "[{},{}]"


async def test_clickjacking_and_injection_are_shut_out_by_every_page(console: Console) -> None:
    page = await console(MIA)
    for path, status in (
        ("/", 200),
        ("/agents", 200),
        ("/account", 200),
        ("/agents/nobody", 404),
        ("/signed-out", 200),
    ):
        response = await page.goto(path)
        assert response is not None
        assert response.status == status
        headers = await response.all_headers()
        policy = headers["content-security-policy"]
        for rule in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
            assert rule in policy
        assert not {"unsafe-inline", "unsafe-eval", "*", "http:", "https:"} & set(re.split(r"[\s;']+", policy))
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
    assert (
        await page.evaluate("""() => {
        const script = document.createElement("script");
        try { script.textContent = "window.hit = 1"; document.body.append(script); } catch { return "stopped"; }
        return window.hit ? "ran" : "stopped";
    }""")
        == "stopped"
    )


async def test_style_and_script_are_kept_for_good_under_a_name_that_changes_with_them(
    console: Console, stack: Stack
) -> None:
    page = await console(MIA)
    href = await page.get_attribute("link[rel=stylesheet]", "href") or ""
    kept = await page.context.request.get(stack.url + href)
    assert "immutable" in kept.headers["cache-control"]
    other = await page.context.request.get(f"{stack.url}/static/0000/console.css")
    assert other.headers["cache-control"] == "no-cache"
    for name in ("../rendering.py", "..%2Frendering.py", "en.yaml"):
        assert (await page.context.request.get(f"{stack.url}/static/x/{name}")).status == 404
