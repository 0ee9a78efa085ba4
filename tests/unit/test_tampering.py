"""Every field of every type of event, changed in turn: found, also where all hashes behind it were made anew.

Types and fields come from the union of the events itself: a new one is tampered with by being there.
"""

from collections.abc import Iterator
from typing import Any, cast

import orjson
import pytest
from pydantic import BaseModel

from core import GENESIS, Actor, PrincipalKind, RunId, TenantId, digest
from core.bodies import RunOpened
from core.events import Event, Stored
from core.parts import RunKind, Versions
from data import Broken, Change, Keys, RawEvent, Walk, verify_run
from data.checkpoints import Checkpoint, Head, changes_digest, root_over
from data.notary import LocalSigner
from data.signatures import Signed
from event_samples import TYPES, filled

TENANT, RUN = TenantId("ten_a"), RunId("run_a")
ACTOR = Actor(kind=PrincipalKind.USER, id="usr_a")


def changed(value: Any) -> Iterator[Any]:
    """Yield a JSON value with each of its parts changed, left out, added or moved in turn."""
    match value:
        case dict():
            told = cast("dict[str, Any]", value)
            for key, inner in told.items():
                yield {name: old for name, old in told.items() if name != key}
                yield from ({**told, key: new} for new in changed(inner))
            yield {**told, "more": "abc"}
        case list():
            items = cast("list[Any]", value)
            for index, inner in enumerate(items):
                yield [*items[:index], *items[index + 1 :]]
                yield from ([*items[:index], new, *items[index + 1 :]] for new in changed(inner))
            if items[::-1] != items:
                yield items[::-1]
            yield [*items, "abc"]
        case bool():
            yield not value
        case int():
            yield value + 1
        case str():
            yield f"{value}x"
            yield None
        case _:
            yield "abc"


def chain(body: BaseModel) -> list[RawEvent]:
    """Return a run of three events, the one in the middle with this body."""
    opened = RunOpened(kind=RunKind.TURN, versions=Versions(code="1"))
    raws: list[RawEvent] = []
    for seq, its in enumerate((opened, body, opened), 1):
        event = Event(
            tenant=TENANT,
            run=RUN,
            seq=seq,
            at="2026-01-01T00:00:00.000Z",
            actor=ACTOR,
            prev=raws[-1].hash if raws else GENESIS,
            body=its,  # pyright: ignore[reportArgumentType] - one of the union
        )
        stored = Stored.seal(event)
        raws.append(RawEvent(seq, stored.data, stored.hash))
    return raws


def rewritten(events: list[RawEvent], data: bytes) -> list[RawEvent]:
    """Return the run with other bytes in the middle, and all hashes from there on made anew."""
    middle = RawEvent(2, data, digest(data))
    last = Stored.parse(events[2].data).event.model_copy(update={"prev": middle.hash})
    sealed = Stored.seal(last)
    return [events[0], middle, RawEvent(3, sealed.data, sealed.hash)]


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> LocalSigner:
    return LocalSigner(tmp_path_factory.mktemp("key") / "key.pem")


async def walk_over(signer: LocalSigner, events: list[RawEvent]) -> Walk:
    """Return a walk that has met the one checkpoint over a run."""
    changes = (Change(RUN, 0, 3, events[-1].hash),)
    told = Checkpoint(
        tenant=TENANT,
        number=1,
        previous=GENESIS,
        at="2026-01-01T00:00:00.000Z",
        runs=1,
        events=3,
        root=root_over({RUN: Head(3, events[-1].hash)}),
        changes=changes_digest(changes),
    )
    key = await signer.key()
    walk = Walk(TENANT, Keys({key.kid: key}))
    assert list(walk.checkpoint(1, await Signed.by(signer, told.canonical()), changes)) == []
    return walk


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.__name__)
async def test_every_field_that_is_changed_is_found(type_: type[BaseModel], signer: LocalSigner) -> None:
    events = chain(filled(type_))
    assert verify_run(TENANT, RUN, events).ok
    assert list((await walk_over(signer, events)).run(RUN, events)) == []
    told = orjson.loads(events[1].data)
    assert {name for name, value in told["body"].items() if value in (None, "", [], {})} == set()
    forgeries = [orjson.dumps(forgery, option=orjson.OPT_SORT_KEYS) for forgery in changed(told)]
    assert len(set(forgeries)) > 2 * len(told["body"])
    for data in forgeries:
        assert data != events[1].data
        as_it_was = [events[0], RawEvent(2, data, events[1].hash), events[2]]
        assert (verify_run(TENANT, RUN, as_it_was).events, verify_run(TENANT, RUN, as_it_was).broken) == (
            1,
            Broken.HASH,
        )
        careful = rewritten(events, data)
        walk = await walk_over(signer, events)
        by_chain, by_checkpoint = verify_run(TENANT, RUN, careful), list(walk.run(RUN, careful))
        assert by_chain.ok or by_chain.events == 1, "the first that is broken is the one that was changed"
        assert by_checkpoint == [f"{RUN} event 3: it is another than a checkpoint covers: the run was written anew"]


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.__name__)
async def test_an_event_left_out_moved_or_cut_off_is_found(type_: type[BaseModel], signer: LocalSigner) -> None:
    events = chain(filled(type_))
    first, second, third = events
    for length in range(3):
        cut = events[:length]
        assert (await walk_over(signer, events)).run(RUN, cut).__next__().startswith(f"{RUN} event {length + 1}: it is")
    for order in ([first, third], [second, third], [first, third, second], [second, first, third], [first, first]):
        assert not verify_run(TENANT, RUN, order).ok
    assert list((await walk_over(signer, events)).missing()) == [
        f"{RUN}: the whole run is missing: a checkpoint covers it"
    ]
