"""Chapter: what happened cannot be rewritten without somebody noticing."""

import asyncio

from mandate.api import EventPage, Verification
from mandate.demo.host import verify_evidence
from mandate.demo.report import expect
from mandate.demo.story import Story
from mandate.local.kept import copy_store, tamper


async def every_run_verifies(story: Story) -> str:
    """The chain of events of every run of this story holds."""
    expect(bool(story.runs), "there was none")
    events = 0
    for name, run in story.runs:
        client = await story.person(name)
        verdict = Verification.model_validate(await client.get(f"/v1/runs/{run}/verification"))
        expect(verdict.ok, f"{run} breaks behind event {verdict.events}")
        events += verdict.events
    return f"{len(story.runs)} runs, {events} events"


async def tampering_is_found(story: Story) -> str:
    """Somebody rewrites the approval on disk into a denial: `mandate evidence verify` names run and event."""
    host, run = story.host, story.note("approved") and story.note("refund")
    page = EventPage.model_validate(await (await story.person("elif")).get(f"/v1/runs/{run}/events"))
    seq = next(event.seq for event in page.items if event.type == "approval_resolved")
    await host.stack.stop()
    folder, copy, store = host.stack.folder, host.stack.folder / "tampered", host.stack.store
    await asyncio.to_thread(copy_store, folder, copy, store)
    changed = await asyncio.to_thread(tamper, copy, store, run, seq, '"approved"', '"denied"')
    expect(changed == 1, f"{changed} events were rewritten")
    code, told = await verify_evidence(copy, store)
    expect(code == 1 and run in told and f"event {seq}:" in told, f"exit {code}: {told}")
    original, also_told = await verify_evidence(folder, store)
    expect(original == 0, f"the untouched store: exit {original}: {also_told}")
    return f"the copy: {told}; the original: {also_told}"


STEPS = (every_run_verifies, tampering_is_found)
