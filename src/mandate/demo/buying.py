"""Chapter: sold through the marketplace, from the purchase to the end, as customer and marketplace see it."""

import asyncio
from http import HTTPStatus

import orjson

from control import MOST_DAYS
from mandate.api import Myself, Run
from mandate.client import Client
from mandate.demo.browser import Browser
from mandate.demo.marketplace import BO, INES, SECONDS, as_ines, becomes, do, known_of, operate, question
from mandate.demo.metered import exceeds, is_metered
from mandate.demo.report import expect
from mandate.demo.story import Story


async def buys(story: Story) -> str:
    """Inês buys a plan on the marketplace; before she comes to us, nobody has a tenant."""
    shop = Browser(story.session, story.url)
    status = await shop.open(f"{story.url}/shop")
    expect(status == HTTPStatus.OK and "Buy mandate" in shop.page, f"the shop answered {status}")
    form = {"plan": "team", "beneficiary": INES, "name": "For the depot"}
    async with story.session.post(f"{story.url}/shop/buy", data=form, allow_redirects=False) as response:
        story.notes["subscription"] = response.headers["x-subscription"]
    await _nobody_is_taken_on(story)
    return story.note("subscription")


async def another_does_not_land(story: Story) -> str:
    """Bo, of the same organisation, opens the link, and is told that it is somebody else's."""
    browser, token = await _landed(story, BO)
    expect("somebody else" in browser.page, browser.page[-300:])
    await _nobody_is_taken_on(story)
    return _nowhere(browser, token)


async def lands(story: Story) -> str:
    """Inês opens the link, signs in, sees what she bought; its token is at no address that the browser keeps."""
    browser, token = await _landed(story, INES)
    expect("Begin your subscription" in browser.page, browser.page[-300:])
    seen = _nowhere(browser, token)
    status = await browser.submit(f"{story.url}/marketplace/landing")
    expect(status == HTTPStatus.OK and "Your subscription is active" in browser.page, browser.page[-300:])
    known = await known_of(story)
    expect(known is not None and (known.status, known.onboarding) == ("Subscribed", "done"), str(known))
    return seen


async def uses(story: Story) -> str:
    """She is the owner, answers for the agent, and asks it."""
    me = Myself.model_validate(await (await as_ines(story)).get("/v1/me"))
    expect((me.tenant.name, list(me.roles)) == ("For the depot", ["owner"]), f"{me.tenant.name} {me.roles}")
    answers_for = await (await as_ines(story)).ask("PUT", "/v1/agents/support/sponsorship", {"days": MOST_DAYS})
    expect(answers_for.status == HTTPStatus.NO_CONTENT, str(answers_for.body))
    run = Run.model_validate(await (await as_ines(story)).post("/v1/runs", question()))
    expect(run.state == "completed", f"{run.state} {run.code}")
    story.notes["run of ines"] = run.run
    return run.run


async def nobody_pretends(story: Story) -> str:
    """Whoever calls the webhook without being the marketplace is refused, and nothing changes."""
    told = {"id": story.note("subscription"), "subscriptionId": story.note("subscription"), "action": "Unsubscribe"}
    for token in ("", "nonsense", (await as_ines(story)).token):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        url = f"{story.url}/v1/marketplace/webhook"
        async with story.session.post(url, data=orjson.dumps(told), headers=headers) as response:
            expect(response.status == HTTPStatus.UNAUTHORIZED, f"answered {response.status}")
    known = await known_of(story)
    expect(known is not None and known.status == "Subscribed", str(known))
    return "401 three times"


async def changes_plan(story: Story) -> str:
    """She changes the plan where she bought it; we accept, and what she may use changes with it."""
    await do(story, "plan", plan="business")
    await becomes(story, "Subscribed", "business")
    return "business"


async def is_suspended(story: Story) -> str:
    """A payment fails while the agent works: it gets no further. All can be read and exported, and no run starts."""
    async with story.host.fault("stall=9,only=chat"):
        under_way = asyncio.create_task((await as_ines(story)).post("/v1/runs", question()))
        await asyncio.sleep(1)
        await do(story, "suspend")
        await becomes(story, "Suspended", "business")
        run = Run.model_validate(await under_way)
    expect((run.state, run.code) == ("refused", "refused.not_entitled"), f"{run.state} {run.code}")
    code = await _refused_soon(story)
    ines = await as_ines(story)
    await ines.get(f"/v1/runs/{story.note('run of ines')}")
    return f"{run.code}, {code}; exported {await _exported(story, ines)} bytes"


async def is_reinstated(story: Story) -> str:
    """The payment works again, and so does the agent."""
    await do(story, "reinstate")
    await becomes(story, "Subscribed", "business")
    async with asyncio.timeout(SECONDS):
        while True:
            answer = await (await as_ines(story)).ask("POST", "/v1/runs", question())
            if answer.status == HTTPStatus.OK:
                return Run.model_validate(answer.body).run
            await asyncio.sleep(0.2)


async def lost_message(story: Story) -> str:
    """The marketplace's message of a change is lost; comparing with the marketplace mends what we know."""
    await _faults(story, lose=1)
    await do(story, "suspend")
    await asyncio.sleep(1)
    known = await known_of(story)
    expect(known is not None and known.status == "Subscribed", "the message was not lost")
    drifted = (await operate(story, "POST", "/v1/subscriptions/reconciliation"))["drifted"]
    await becomes(story, "Suspended", "business")
    return f"{drifted} had drifted"


async def leaves(story: Story) -> str:
    """She cancels: what is hers can be taken away, and nothing begins any more."""
    await do(story, "cancel")
    await becomes(story, "Unsubscribed", "business")
    code = await _refused_soon(story)
    return f"{code}; exported {await _exported(story, await as_ines(story))} bytes"


async def is_erased(story: Story) -> str:
    """At her wish the publisher does not wait for seven days: all is erased, and she is a stranger."""
    known = await known_of(story)
    assert known
    await operate(story, "POST", f"/v1/tenants/{known.tenant}/erasure")
    async with asyncio.timeout(SECONDS):
        while True:
            answer = await (await as_ines(story)).ask("GET", "/v1/me")
            if answer.body.get("code") == "access.unbound":
                break
            await asyncio.sleep(0.2)
    after = await known_of(story)
    expect(after is not None and after.onboarding == "erased", str(after))
    return str(answer.body["code"])


STEPS = (
    *(buys, another_does_not_land, lands, uses, nobody_pretends, changes_plan, exceeds, is_metered),
    *(is_suspended, is_reinstated, lost_message, leaves, is_erased),
)


async def _landed(story: Story, username: str) -> tuple[Browser, str]:
    """Open the landing page from the marketplace, and sign in there as somebody; return the token too."""
    url = f"{story.url}/shop/{story.note('subscription')}/configure"
    async with story.session.post(url, allow_redirects=False) as response:
        link = response.headers["Location"]
    browser = Browser(story.session, story.url)
    await browser.open(link)
    await browser.submit(browser.at, username=username)
    return browser, link.partition("token=")[2]


def _nowhere(browser: Browser, token: str) -> str:
    kept = [*browser.visited, browser.page, *browser.cookies.values()]
    expect(not any(token in place for place in kept), "the token is in an address, a page or a cookie")
    return f"{len(browser.visited)} pages, none of them with the token"


async def _nobody_is_taken_on(story: Story) -> None:
    """We may know of the subscription, from comparing; nothing was begun for it."""
    known = await known_of(story)
    expect(known is None or known.onboarding == "none", str(known))


async def _refused_soon(story: Story) -> str:
    """Return the code with which a run is refused, once what was read before is old enough."""
    async with asyncio.timeout(SECONDS):
        while True:
            answer = await (await as_ines(story)).ask("POST", "/v1/runs", question())
            if answer.status != HTTPStatus.OK:
                break
            await asyncio.sleep(0.2)
    expect(answer.body.get("code") == "access.suspended", f"{answer.status} {answer.body.get('code')}")
    return str(answer.body["code"])


async def _exported(story: Story, client: Client) -> int:
    headers = {"Authorization": f"Bearer {client.token}"}
    async with story.session.get(f"{story.url}/v1/data/export", headers=headers) as response:
        raw = await response.read()
        expect(response.ok and bool(raw), f"the export answered {response.status}")
        return len(raw)


async def _faults(story: Story, **faults: int) -> None:
    url = f"{story.host.stack.address('marketplace')}/faults"
    async with story.session.post(url, data=orjson.dumps(faults), ssl=False) as response:
        expect(response.status == HTTPStatus.NO_CONTENT, f"the marketplace answered {response.status}")
