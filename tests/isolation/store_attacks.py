"""What the handle of one tenant can be asked for of another's, for every method of every store."""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, cast

from store_samples import index, member, opened, passage, permit, prompt, vector

from core import ActionKind, Content, RunId, TenantContext, new_id
from core.errors import MandateError
from core.events import Stored
from data import (
    KNOWLEDGE,
    PROJECTIONS,
    Passage,
    Query,
    Reader,
    Record,
    Row,
    RunWriter,
    Seen,
    Store,
    TenantData,
    indexing,
    read_run,
)

WORDS = "the quokka sleeps"
NEAR = (1.0, 0.0, 0.0)


def kinds(of: type[Record] = Record) -> Iterator[str]:
    """Yield the kinds of all records that there are in the product."""
    for found in of.__subclasses__():
        if not found.__module__.startswith(("store_", "test_")):
            yield from filter(None, [vars(found).get("kind", "")])
            yield from kinds(found)


def record_of(kind: str) -> type["Anything"]:
    """Return a model of records of this kind: how they are kept apart does not depend on what is in them."""
    return type("Anything", (Anything,), {"kind": kind, "__annotations__": {"kind": ClassVar[str]}})


class Anything(Record):
    kind: ClassVar[str] = "anything"
    text: str = ""


@dataclass(frozen=True)
class Held:
    """What one tenant has in every store, under ids that the other may use too."""

    context: TenantContext
    run: RunId
    events: Sequence[Stored]
    content: Content
    passage: Passage
    etags: Mapping[str, str]
    rows: Mapping[str, Row]


async def fill(store: Store, held_kinds: Sequence[str]) -> Held:
    """Put something into every store of a new tenant."""
    context, content = member(), prompt(WORDS.encode())
    data, run = store.tenant(context), RunId("run_0123456789abcdefghjkmnpqrs")
    writer = RunWriter(data, run, actor=context.principal.actor)
    await writer.append([opened()], [content])
    found = passage(WORDS, id_="doc_1.0", near=NEAR, owner=context.principal.id)
    await index(store, context, [found])
    etags = {kind: await data.records.put("the-key", record_of(kind)(text=WORDS), etag=None) for kind in held_kinds}
    rows = {view.view: row_of(context, view.view, run) for view in PROJECTIONS}
    for view, row in rows.items():
        await store.platform.project({view: [row]}, name=f"of-{view}", checkpoint="1")
    return Held(context, run, writer.events, content, found, etags, rows)


def row_of(context: TenantContext, view: str, run: RunId) -> Row:
    return Row(
        context.tenant, f"{view}-key", sort="2026", owner=context.principal.id, state="open", run=run, seq=1, body=b"{}"
    )


Ask = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Attempt:
    """Attributes:
    expected: the outcome: `nothing`, a refusal, or `own`: the same id is one's own to use.
    """

    store: str
    method: str
    what: str
    ask: Ask
    expected: str = "nothing"


async def outcome(attempt: Attempt) -> str:
    """Return what came of it: `nothing`, the code of a refusal, or what was got."""
    try:
        got = await attempt.ask()
    except MandateError as error:
        return error.code
    items = getattr(got, "items", got)
    if attempt.store.startswith("records") and isinstance(items, list):  # the store makes a few of its own accord
        items = [item for item in cast("list[object]", items) if WORDS in repr(item)]
    if attempt.expected == "own":
        return "own"
    return "nothing" if items in (None, 0, False) or items in ([], ()) else f"got {got}"


def attempts(store: Store, attacker: TenantContext, held: Held) -> Iterator[Attempt]:
    """Yield every attempt at what `held` says that its tenant has, by the handle of `attacker`."""
    data = store.tenant(attacker)
    yield from _on_log(data, held)
    yield from _on_content(data, held)
    for kind, etag in held.etags.items():
        yield from _on_records(data, kind, etag)
    yield from _on_knowledge(data, attacker, held)
    for view, row in held.rows.items():
        yield from _on_views(data, view, row)


def _on_log(data: TenantData, held: Held) -> Iterator[Attempt]:
    log = data.log
    yield Attempt("log", "read", "another's run", lambda: log.read(held.run))
    yield Attempt("log", "raw", "another's run", lambda: log.raw(held.run))
    yield Attempt("log", "append", "another's events", lambda: log.append(held.events), "defect.tenant")
    for kind, etag in held.etags.items():
        for seen in (etag, None):  # to learn from it whether there is such a record
            rested = [Seen(held.context.tenant, kind, "the-key", seen)]
            ask = partial(_resting, data, rested)
            yield Attempt("log", "append", f"resting on another's record of kind {kind}", ask, "defect.tenant")
        none = partial(_resting, data, [Seen(data.context.tenant, kind, "the-key", None)])
        yield Attempt("log", "append", f"resting on it that there is none of kind {kind}", none, "own")
    yield Attempt("log", "append", "behind another's", lambda: _behind(data, held), "own")


async def _resting(data: TenantData, rested: Sequence[Seen]) -> None:
    """Begin a run of one's own, if what another has is so."""
    writer = RunWriter(data, RunId(new_id("run")), actor=data.context.principal.actor)
    await writer.append([opened()], resting_on=rested)


async def _behind(data: TenantData, held: Held) -> None:
    """Begin a run of one's own under another's run id."""
    await RunWriter(data, held.run, actor=data.context.principal.actor).append([opened()])
    assert len(await read_run(data, held.run)) == 1


def _on_content(data: TenantData, held: Held) -> Iterator[Attempt]:
    content, ref = data.content, held.content.ref
    other = replace(held.content, data=b"other", key=b"other")
    yield Attempt("content", "get", "another's reference", lambda: content.get(ref), "not_found")
    yield Attempt("content", "matches", "another's bytes", lambda: content.matches(ref, held.content.data))
    yield Attempt("content", "take", "another's id", lambda: content.take(ref.id))
    yield Attempt("content", "list", "all", content.list)
    yield Attempt("content", "list", "another's owner", lambda: content.list(owner=held.content.owner))
    yield Attempt("content", "erase", "another's id", lambda: content.erase([ref.id]))
    yield Attempt("content", "put", "under another's id, twice", lambda: _twice(content.put, [other]), "own")


async def _twice(do: Callable[[Any], Awaitable[None]], what: object) -> None:
    await do(what)
    await do(what)


def _on_records(data: TenantData, kind: str, etag: str) -> Iterator[Attempt]:
    records, model = data.records, record_of(kind)
    yield Attempt(f"records: {kind}", "get", "another's key", lambda: records.get(model, "the-key"))
    yield Attempt(f"records: {kind}", "list", "all", lambda: records.list(model))
    yield Attempt(f"records: {kind}", "list", "another's prefix", lambda: records.list(model, prefix="the-"))
    stolen = lambda: records.put("the-key", model(text="mine"), etag=etag)  # noqa: E731 - one line like the others
    yield Attempt(f"records: {kind}", "put", "another's ETag", stolen, "precondition")
    gone = lambda: records.delete(model, "the-key", etag=etag)  # noqa: E731 - the same
    yield Attempt(f"records: {kind}", "delete", "another's ETag", gone, "precondition")
    yield Attempt(
        f"records: {kind}", "put", "another's key", lambda: records.put("the-key", model(text="mine"), etag=None), "own"
    )


def _on_knowledge(data: TenantData, attacker: TenantContext, held: Held) -> Iterator[Attempt]:
    knowledge, query = data.knowledge, Query(WORDS, ("manuals",), 10, explain=True)
    reader = Reader(held.context.principal.id, frozenset({held.passage.collection}))
    own, theirs = (permit(who, ActionKind.RETRIEVE, KNOWLEDGE, query.arguments) for who in (attacker, held.context))
    take_in = permit(held.context, ActionKind.INGEST, "manuals", indexing([held.passage]))
    mine = permit(attacker, ActionKind.INGEST, "manuals", indexing([held.passage]))
    near = vector(*NEAR)
    yield Attempt(
        "knowledge", "search", "the same words", lambda: knowledge.search(own, query, vector=near, reader=reader)
    )
    yield Attempt(
        "knowledge", "search", "another's permit",
        lambda: knowledge.search(theirs, query, vector=near, reader=reader), "defect.permit_mismatch",
    )  # fmt: skip
    yield Attempt("knowledge", "get", "another's passage", lambda: knowledge.get(held.passage.id, reader))
    yield Attempt("knowledge", "of", "another's document", lambda: knowledge.of(held.passage.document))
    yield Attempt("knowledge", "over", "another's document", lambda: knowledge.over([held.passage.term]))
    yield Attempt("knowledge", "remove", "another's document", lambda: knowledge.remove(held.passage.document))
    yield Attempt(
        "knowledge",
        "index",
        "another's permit",
        lambda: knowledge.index(take_in, [held.passage]),
        "defect.permit_mismatch",
    )
    yield Attempt("knowledge", "index", "under another's id", lambda: knowledge.index(mine, [held.passage]), "own")


def _on_views(data: TenantData, view: str, row: Row) -> Iterator[Attempt]:
    views = data.views
    yield Attempt(f"views: {view}", "get", "another's key", lambda: views.get(view, row.key))
    yield Attempt(f"views: {view}", "list", "all", lambda: views.list(view))
    yield Attempt(f"views: {view}", "list", "another's owner", lambda: views.list(view, owner=row.owner))
    yield Attempt(
        f"views: {view}", "list", "another's state", lambda: views.list(view, states=[row.state], since="2", until="3")
    )


def methods(port: type) -> set[str]:
    """Return the names of what a port can be asked."""
    return {name for name, _ in inspect.getmembers(port, inspect.iscoroutinefunction) if not name.startswith("_")}
