"""Who may read what: the collection's record and the person's newest groups decide, at once, on every store."""

from typing import Any

from store_samples import member, prompt, run_id

from control import PersonRecord, contexts, groups_now
from core import (
    Confidentiality,
    Content,
    ContentClass,
    DocumentId,
    Integrity,
    Label,
    Principal,
    PrincipalId,
    Role,
    TenantContext,
    timestamp,
)
from core.bodies import RunOpened
from core.clock import SystemClock
from core.parts import RunKind, Versions
from data import Reader, Record, RunWriter, Store, TenantData
from orchestration import ERASED, WITHHELD, CollectionRecord, DocumentRecord, ShownPassage, access_of, fetcher
from orchestration.shown import Shown, parse_passages, shown_again, stored_form

OWNER = PrincipalId("usr_owner")


async def write(data: TenantData, record: Record, key: str) -> None:
    found = await data.records.get(type(record), key)
    await data.records.put(key, record, etag=found.etag if found else None)


async def collection(data: TenantData, name: str = "papers", **changes: Any) -> CollectionRecord:
    fields: dict[str, Any] = {"readers": (), "confidentiality": Confidentiality.INTERNAL, **changes}
    record = CollectionRecord(
        id=name, title="Papers", purpose="", owner=PrincipalId("usr_admin"), integrity=Integrity.TRUSTED, **fields
    )
    await write(data, record, name)
    return record


async def document(
    data: TenantData, name: str, *, within: str = "papers", owner: PrincipalId = OWNER
) -> DocumentRecord:
    record = DocumentRecord(
        id=DocumentId(name),
        collection=within,
        owner=owner,
        title=prompt().ref,
        content=prompt().ref,
        passages=1,
        run=run_id(),
        brought_at=timestamp(SystemClock().now()),
        updated_at=timestamp(SystemClock().now()),
    )
    await write(data, record, name)
    return record


def passages(*documents: str) -> bytes:
    return stored_form(
        [
            ShownPassage(n, f"{name}.0", DocumentId(name), f"About {name}", "canary")
            for n, name in enumerate(documents, 1)
        ]
    )


def words(shown: Shown) -> list[str]:
    return [passage.text for passage in shown.passages]


def with_role(context: TenantContext, role: Role) -> TenantContext:
    principal = Principal(context.principal.id, context.principal.kind, frozenset({role}), context.principal.groups)
    return TenantContext(context.tenant, principal, context.plan, context.region, context.correlation)


async def test_a_change_of_a_collection_holds_for_what_is_in_it_at_once(store: Store) -> None:
    context = member(None, "sales")
    data = store.tenant(context)
    await collection(data)
    record = await document(data, "doc_1")
    assert await (await access_of(data)).document(record.id) == record
    assert words(await shown_again(data, passages("doc_1"))) == ["canary"]
    await collection(data, readers=("hr",))
    assert await (await access_of(data)).document(record.id) is None
    shown = await shown_again(data, passages("doc_1"))
    assert (words(shown), shown.passages[0].heading) == ([WITHHELD], WITHHELD)
    await collection(data, readers=("hr", "sales"))
    assert words(await shown_again(data, passages("doc_1"))) == ["canary"]


async def test_a_group_that_somebody_left_counts_no_more_whatever_their_run_was_opened_with(store: Store) -> None:
    context = member(None, "hr")
    data = store.tenant(context)
    closed = await collection(data, readers=("hr",))
    await document(data, "doc_1")
    assert words(await shown_again(data, passages("doc_1"))) == ["canary"]
    for groups, expected in (((), WITHHELD), (("hr",), "canary")):
        await write(data, PersonRecord(profile=prompt().ref, groups=groups, groups_at=2.0), context.principal.id)
        assert words(await shown_again(data, passages("doc_1"))) == [expected]
        assert (await access_of(data)).reader([closed]).whole == (frozenset({"papers"}) if groups else frozenset())


async def test_a_run_goes_on_in_the_groups_that_its_person_is_in_now(store: Store) -> None:
    context = member(None, "hr")
    data = store.tenant(context)
    writer = RunWriter(data, run_id(), actor=context.principal.actor)
    opened = RunOpened(kind=RunKind.TURN, versions=Versions(code="1"), deadline="", groups=("hr",))
    await writer.append([opened])
    await write(data, PersonRecord(profile=prompt().ref, groups=("sales",), groups_at=2.0), context.principal.id)
    first = writer.events[0]
    assert contexts.from_run(context.tenant, first).principal.groups == {"hr"}
    later = contexts.from_run(context.tenant, first, groups=await groups_now(data))
    assert later.principal.groups == {"sales"}


async def test_a_search_is_trimmed_by_the_ceiling_and_the_owner(store: Store) -> None:
    context = member(None, "sales")
    access = await access_of(store.tenant(context))
    open_ = await collection(access.data, "open")
    closed = await collection(access.data, "closed", readers=("hr",))
    secret = await collection(access.data, "secret", confidentiality=Confidentiality.RESTRICTED)
    me = context.principal.id
    every = [open_, closed, secret]
    assert access.reader(every) == Reader(me, frozenset({"open", "secret"}), frozenset({"closed"}))
    assert access.reader(every, Confidentiality.INTERNAL) == Reader(me, frozenset({"open"}), frozenset({"closed"}))
    assert access.reader(every, Confidentiality.PUBLIC) == Reader(me)


async def test_what_an_answer_showed_is_withheld_erased_or_kept_as_evidence(store: Store) -> None:
    context = member(None, "sales")
    data = store.tenant(context)
    await collection(data, "open")
    await collection(data, "closed", readers=("hr",))
    await document(data, "doc_open", within="open")
    await document(data, "doc_closed", within="closed")
    await document(data, "doc_mine", within="closed", owner=context.principal.id)
    asked = passages("doc_open", "doc_closed", "doc_mine", "doc_gone")
    assert words(await shown_again(data, asked)) == ["canary", WITHHELD, "canary", ERASED]
    auditor = store.tenant(with_role(context, Role.AUDITOR))
    assert words(await shown_again(auditor, asked)) == ["canary", "canary", "canary", ERASED]
    for role in (Role.OWNER, Role.ADMIN, Role.APPROVER):
        assert words(await shown_again(store.tenant(with_role(context, role)), asked))[1] == WITHHELD


async def test_a_model_is_not_told_what_was_raised_above_its_ceiling_and_gets_the_new_label(store: Store) -> None:
    data = store.tenant(member())
    await collection(data)
    await document(data, "doc_1")
    for level in Confidentiality:
        await collection(data, confidentiality=level)
        shown = await shown_again(data, passages("doc_1"), Confidentiality.INTERNAL)
        assert words(shown) == ["canary" if level.rank <= Confidentiality.INTERNAL.rank else WITHHELD]
        assert shown.labels == [Label(integrity=Integrity.TRUSTED, confidentiality=level)]


async def test_one_readers_look_at_a_stream_never_serves_another(store: Store) -> None:
    hr, sales = member(None, "hr"), member(None, "sales")
    sales = TenantContext(hr.tenant, sales.principal, sales.plan, sales.region, sales.correlation)
    data = store.tenant(hr)
    await collection(data, readers=("hr",))
    await document(data, "doc_1")
    stored = Content.new(passages("doc_1"), kind=ContentClass.PASSAGES, owner=hr.principal.id)
    await data.content.put([stored])
    known: dict[str, bytes] = {}
    for context, expected in ((hr, "canary"), (sales, WITHHELD), (hr, "canary")):
        shown = parse_passages(await fetcher(store.tenant(context), known)(stored.ref))
        assert [passage.text for passage in shown] == [expected]


async def test_another_tenants_collection_of_the_same_name_decides_nothing(store: Store) -> None:
    mine, theirs = store.tenant(member()), store.tenant(member())
    await collection(mine, readers=("hr",))
    await collection(theirs)
    await document(mine, "doc_1")
    assert words(await shown_again(mine, passages("doc_1"))) == [WITHHELD]
    assert words(await shown_again(theirs, passages("doc_1"))) == [ERASED]
