"""Steps of the marketplace's story: more is used than the price includes, and exactly that is billed."""

from datetime import UTC, datetime, timedelta
from typing import cast

from core import Json
from mandate.api import Run
from mandate.demo.marketplace import as_ines, known_of, operate, question
from mandate.demo.report import expect
from mandate.demo.story import Story

UNIT = "completed_runs"
INCLUDED, MORE = 2, 4
"""Of runs that were laid down for her to be included, and so many that she asks for after her first."""


async def exceeds(story: Story) -> str:
    """The publisher has agreed with her that two runs are included; she asks more than that."""
    known = await known_of(story)
    assert known
    path = f"/v1/tenants/{known.tenant}/entitlements"
    told = await operate(story, "PUT", path, {"included": {UNIT: INCLUDED}})
    expect(told["included"] == {UNIT: INCLUDED, "documents_indexed": 1000}, str(told["included"]))
    runs = [story.note("run of ines")]
    for _ in range(MORE):
        run = Run.model_validate(await (await as_ines(story)).post("/v1/runs", question()))
        expect(run.state == "completed", f"{run.state} {run.code}")
        runs.append(run.run)
    story.notes["billed runs"] = " ".join(sorted(runs[INCLUDED:]))
    return f"{len(runs)} runs, of which {INCLUDED} are included"


async def is_metered(story: Story) -> str:
    """The marketplace takes exactly what is beyond, once; its report agrees, and each unit is one of her runs."""
    billed = sorted(story.note("billed runs").split())
    await operate(story, "POST", "/v1/metering/look", {"now_too": True})
    again = await operate(story, "POST", "/v1/metering/look", {"now_too": True})
    expect(again["taken"] == 0, f"{again['taken']} events more")
    today = datetime.now(UTC).date()
    days = f"first={today - timedelta(days=1)}&last={today}"
    lines = _items(await operate(story, "GET", f"/v1/metering/reconciliation?{days}"))
    own = [line for line in lines if (line["resource"], line["unit"]) == (story.note("subscription"), UNIT)]
    reported = sum(cast("int", line["reported"]) for line in own)
    expect(reported == len(billed), f"{reported} of {len(billed)} were taken")
    expect(all(line["agrees"] for line in own), str(own))
    traced = [run for hour in await _hours(story, days) for run in await _traced(story, hour)]
    expect(sorted(traced) == billed, f"billed {traced}, used {billed}")
    return f"{reported} units, from {len(set(traced))} runs"


async def _hours(story: Story, days: str) -> list[str]:
    """Return the hours for which units of hers were taken."""
    meters = _items(await operate(story, "GET", f"/v1/metering?{days}"))
    own = next(one for one in meters if (one["resource"], one["unit"]) == (story.note("subscription"), UNIT))
    hours = cast("list[dict[str, Json]]", own["hours"])
    return [str(hour["hour"]) for hour in hours if hour["accepted"]]


async def _traced(story: Story, hour: str) -> list[str]:
    path = f"/v1/metering/runs?resource={story.note('subscription')}&unit={UNIT}&hour={hour}"
    return [str(run["run"]) for run in _items(await operate(story, "GET", path))]


def _items(answer: dict[str, Json]) -> list[dict[str, Json]]:
    return cast("list[dict[str, Json]]", answer["items"])
