"""`mandate policy replay`: every recorded decision of a local store again, under other policies. Changes nothing."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson
from rich.console import Console
from rich.table import Column, Table

from control import (
    POLICY_KEY,
    Candidate,
    Layer,
    PolicyRecord,
    Replay,
    Replayed,
    Ruleset,
    TenantRecord,
    contexts,
    publisher_text,
    recorded_in,
)
from core import Names, RunId, TenantId
from core.errors import BadRequest
from core.events import Stored
from data import RawEvent, Store, known_names, verify_run, with_names
from mandate.local.kept import open_kept
from mandate.local.stack import StoreKind
from mandate.settings import ROOT

FailOn = Literal["never", "loosened", "changed"]

console = Console(width=None if sys.stdout.isatty() else 160)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be replayed.

    Attributes:
        candidate: folder with any of `publisher.cedar`, `environment.cedar` and `tenant.cedar`; for those that are not
            there, what is in force is taken: of the code, of `environment`, and each tenant's own.
        since: a day or a moment, as events have it; empty for all.
        tenant: only this one; empty for all.
    """

    candidate: Path
    environment: str
    since: str = ""
    tenant: str = ""


async def replay(folder: Path, store: StoreKind, asked: Asked, *, as_json: bool, fail_on: FailOn) -> int:
    """Decide again, tell what would change, and return 1 if that is more than `fail_on` lets pass.

    What cannot be decided again, and what is not as it was written, fails too: nobody can say that it is no change.

    Raises:
        BadRequest: the folder of the candidate has no policies, or a file that is none of its layers.
        NotFound: no store there.
        Unprocessable: the candidate's policies are wrong.
    """
    texts = _candidate(asked)
    async with open_kept(folder, store) as kept:
        replay, broken = Replay(), 0
        known: dict[TenantId, _Known] = {}
        async for tenant, run in kept.platform.runs():
            if asked.tenant not in ("", tenant):
                continue
            if tenant not in known:
                known[tenant] = await _known(kept, tenant, texts)
            raws = await _raws(kept, tenant, run)
            if verify_run(tenant, run, raws).broken:
                broken += 1
                continue
            events = with_names(known[tenant].names, [Stored.parse(raw.data) for raw in raws])
            recorded = [one for one in recorded_in(events) if one.event.at >= asked.since]
            await asyncio.to_thread(replay.add, known[tenant].candidate, recorded)
    result = replay.result()
    if as_json:
        print(orjson.dumps({"broken_runs": broken, **result.model_dump(mode="json")}).decode())
    else:
        _show(result, broken)
    unsure = bool(result.undecided or broken)
    changed = {"never": 0, "loosened": result.loosened, "changed": result.loosened + result.tightened}[fail_on]
    return 1 if fail_on != "never" and (changed or unsure) else 0


def _candidate(asked: Asked) -> Mapping[Layer, str | None]:
    there = {path.stem: path.read_text(encoding="utf-8") for path in sorted(asked.candidate.glob("*.cedar"))}
    unknown = sorted(there.keys() - {layer.value for layer in Layer})
    if unknown or not there:
        raise BadRequest(
            f"{asked.candidate} has {', '.join(unknown) or 'no policies'}; give publisher.cedar, environment.cedar or"
            " tenant.cedar.",
            code="request.candidate",
        )
    environment = ROOT / "environments" / asked.environment / "policies.cedar"
    in_force = {Layer.PUBLISHER: publisher_text(), Layer.ENVIRONMENT: environment.read_text(encoding="utf-8")}
    return {layer: there.get(layer.value, in_force.get(layer)) for layer in Layer}


@dataclass(frozen=True, slots=True)
class _Known:
    """A tenant's candidate, and what opens its names: None where it is erased."""

    candidate: Candidate
    names: Names | None


async def _known(kept: Store, tenant: TenantId, texts: Mapping[Layer, str | None]) -> _Known:
    record = await kept.tenant(contexts.publisher("replay")).records.get(TenantRecord, tenant)
    data = kept.tenant(contexts.platform(record.value, "replay")) if record else None
    own = await data.records.get(PolicyRecord, POLICY_KEY) if data else None
    given = texts[Layer.TENANT]
    rules = await asyncio.to_thread(
        Ruleset.compose,
        publisher=texts[Layer.PUBLISHER] or "",
        environment=texts[Layer.ENVIRONMENT] or "",
        tenant=given if given is not None else own.value.text if own else "",
    )
    return _Known(Candidate(rules), await known_names(data) if data else None)


async def _raws(kept: Store, tenant: TenantId, run: RunId) -> list[RawEvent]:
    raws: list[RawEvent] = []
    while page := await kept.platform.raw(tenant, run, after=len(raws)):
        raws += page
    return raws


def _show(result: Replayed, broken: int) -> None:
    titles = ("change", "action", "target", "now", "then", "by, or for want of", "count", "first")
    table = Table(*(Column(title, overflow="fold") for title in titles))
    for group in result.groups:
        because = ", ".join(group.policies or (*group.missing, *(f"{name} (erased)" for name in group.erased)))
        row = (group.change, group.kind, group.target, group.before, group.after or "?", because, str(group.count))
        table.add_row(*row, f"{group.run} {group.seq}")
    if result.groups:
        console.print(table)
    console.print(
        f"{result.decisions} decisions: {result.same} the same, {result.reason} for another reason,"
        f" {result.tightened} tightened, {result.loosened} loosened, {result.undecided} cannot be decided again"
    )
    if broken:
        console.print(f"[red]{broken} runs are not as they were written, and were left out[/red]")
