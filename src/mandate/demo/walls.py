"""Chapter: the other company does not exist. Its ids give 404, and who tried is on record."""

import asyncio
from http import HTTPStatus

from core import Json
from mandate.api import RefusedPage, RunPage
from mandate.demo.report import expect
from mandate.demo.story import Story

SECONDS = 15.0


async def nothing_of_theirs(story: Story) -> str:
    """Dario knows ids of the shop's runs, conversations, documents and approvals, and gets 404 for each."""
    paths = _paths(story)
    for method, path in paths:
        await story.refused("dario", HTTPStatus.NOT_FOUND, method, path)
    return f"{len(paths)} ways tried"


async def no_conversation_joined(story: Story) -> str:
    """He cannot go on with a conversation of the shop either."""
    body: Json = {"agent": "support", "message": "And then?", "conversation": story.note("conversation of elif")}
    return await story.refused("dario", HTTPStatus.NOT_FOUND, "POST", "/v1/runs", body)


async def on_record(story: Story) -> str:
    """His own company's auditor reads in the access log that he was refused."""
    dario = (await story.me("dario")).id
    async with asyncio.timeout(SECONDS):
        operations = await _refusals(story, dario)
        while not operations:
            await asyncio.sleep(0.2)
            operations = await _refusals(story, dario)
    wanted = {"GET /v1/runs/{run}", "GET /v1/runs/{run}/events", "GET /v1/documents/{document}"}
    expect(wanted <= operations, f"only {sorted(operations)}")
    tried = [value for value in story.notes.values() if any(value in operation for operation in operations)]
    expect(not tried, f"ids that were tried stand in it: {tried}")
    return f"{len(operations)} operations recorded, none with the id that was tried"


async def no_way_round_the_edge(story: Story) -> str:
    """A person's token is refused by the internal service, which takes calls from our own services only."""
    url = f"{story.host.stack.address('orchestration')}/internal/runs"
    token = (await story.person("elif")).token
    async with story.session.post(url, json={}, headers={"Authorization": f"Bearer {token}"}) as response:
        expect(response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN), f"answered {response.status}")
        return f"{response.status}"


def _paths(story: Story) -> list[tuple[str, str]]:
    run = f"/v1/runs/{story.note('run of elif')}"
    return [
        ("GET", run),
        ("GET", f"{run}/events"),
        ("GET", f"{run}/explanation"),
        ("GET", f"{run}/verification"),
        ("POST", f"{run}/cancel"),
        ("GET", f"/v1/conversations/{story.note('conversation of elif')}"),
        ("GET", f"/v1/documents/{story.note('document of elif')}"),
        ("GET", f"/v1/documents/{story.note('document of elif')}/text"),
        ("GET", f"/v1/approvals/{story.note('approval')}"),
    ]


async def _refusals(story: Story, who: str) -> set[str]:
    """Return which operations `who` was told 404 for, from the newest access log of their company."""
    helene = await story.person("helene")
    page = RunPage.model_validate(await helene.get("/v1/runs?mine=false&limit=100"))
    log = next((run.run for run in page.items if run.kind == "access"), None)
    if log is None:
        return set()
    events = RefusedPage.model_validate(await helene.get(f"/v1/runs/{log}/events"))
    return {e.operation for e in events.items if e.code == "not_found" and e.actor["id"] == who}


STEPS = (nothing_of_theirs, no_conversation_joined, on_record, no_way_round_the_edge)
