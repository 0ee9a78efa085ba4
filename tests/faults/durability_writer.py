"""Writes to a store until it has done what it was told, or is killed. Says on standard output what was acknowledged.

durability_writer.py FILE 10      ten appends, one after the other: `submit N` before and `ack N` after each
durability_writer.py FILE load    appends to many runs at once, for ever: `tenant run seq` after each
"""

import asyncio
import os
import sys
from pathlib import Path

from core import (
    ActionKind,
    Content,
    ContentClass,
    Decision,
    Lane,
    Principal,
    PrincipalId,
    PrincipalKind,
    RunId,
    TenantContext,
    TenantId,
    new_id,
)
from core.bodies import DecisionMade
from data import RunWriter, Store
from data.sqlite import open_store


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def new_writer(store: Store) -> RunWriter:
    principal = Principal(PrincipalId(new_id("usr")), PrincipalKind.USER)
    context = TenantContext(TenantId(new_id("ten")), principal, plan="p", region="eu", correlation="c")
    return RunWriter(store.tenant(context), RunId(new_id("run")), actor=principal.actor)


async def append(writer: RunWriter, events: int) -> None:
    content = Content.new(os.urandom(200), kind=ContentClass.ARGUMENTS, owner=PrincipalId(writer.actor.id))
    decision = Decision(lane=Lane.AUTOMATIC, policies=("p",), reason="Allowed.", policy_version="v", facts={})
    body = DecisionMade(
        step=1, kind=ActionKind.CALL_TOOL, target="lookup_order", arguments=content.ref, decision=decision
    )
    await writer.append([body] * events, [content])


async def load(writer: RunWriter) -> None:
    for number in range(sys.maxsize):
        await append(writer, 1 + number % 3)
        say(f"{writer.data.context.tenant} {writer.run} {writer.seq}")


async def main(path: Path, what: str) -> None:
    async with open_store(path) as store:
        if what == "load":
            await asyncio.gather(*(load(new_writer(store)) for _ in range(16)))
        writer = new_writer(store)
        for number in range(int(what)):
            say(f"submit {number}")
            await append(writer, 3)
            say(f"ack {number}")


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
