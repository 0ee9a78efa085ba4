"""A tenant with something in every store, all of it in words that occur nowhere else, and where its bytes are."""

import base64
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from store_samples import index, passage, permit

from control import (
    BindingRecord,
    ErasureRecord,
    Erasures,
    MemberRecord,
    PersonRecord,
    PolicyRecord,
    SessionRecord,
    TenantRecord,
    contexts,
)
from core import (
    ActionKind,
    ApprovalId,
    Confidentiality,
    Content,
    ContentClass,
    ConversationId,
    Decision,
    DocumentId,
    Effect,
    Integrity,
    Label,
    Lane,
    Principal,
    PrincipalId,
    PrincipalKind,
    RunId,
    SystemClock,
    TenantContext,
    TenantId,
    digest,
    new_id,
    timestamp,
)
from core.bodies import (
    AnswerGiven,
    ApprovalRequested,
    Body,
    DecisionMade,
    ModelFinished,
    PassagesRetrieved,
    RunEnded,
    RunOpened,
    RunParked,
)
from core.parts import Citation, PassageUse, Proposal, RunKind, RunState, Versions
from data import KNOWLEDGE, Query, Reader, RunWriter, Store, TenantData
from data.journals import FileJournal
from orchestration import CollectionRecord, ConversationRecord, DocumentRecord, Eraser


def word() -> str:
    """Return a word that nobody else says, and that no cutting into words divides."""
    return "canary" + "".join(secrets.choice("bcdfghjklmnpqrstvwxz") for _ in range(14))


@dataclass
class Words:
    """What the tenant and its people said and are called."""

    name: str = field(default_factory=word)
    tid: str = field(default_factory=word)
    oid: str = field(default_factory=word)
    entra_group: str = field(default_factory=word)
    group: str = field(default_factory=word)
    email: str = field(default_factory=word)
    policy: str = field(default_factory=word)
    reason: str = field(default_factory=word)
    collection: str = field(default_factory=word)
    title: str = field(default_factory=word)
    text: str = field(default_factory=word)
    question: str = field(default_factory=word)
    answer: str = field(default_factory=word)
    parked: str = field(default_factory=word)
    large: str = field(default_factory=word)
    correlation: str = field(default_factory=word)
    """Only ever in events, where it is sealed."""

    def all(self) -> list[str]:
        """Return all of them, and what they look like hashed without a key."""
        return [*vars(self).values(), *(digest(value.encode()) for value in vars(self).values())]


@dataclass
class Governed:
    """A tenant in a store: `running` and `parked` are runs that have not ended, `ended` has cited `document`."""

    store: Store
    words: Words = field(default_factory=Words)
    tenant: TenantId = field(default_factory=lambda: TenantId(new_id("ten")))
    person: PrincipalId = field(default_factory=lambda: PrincipalId(new_id("prn")))
    document: DocumentId = field(default_factory=lambda: DocumentId(new_id("doc")))
    ended: RunId = field(default_factory=lambda: RunId(new_id("run")))
    running: RunId = field(default_factory=lambda: RunId(new_id("run")))
    parked: RunId = field(default_factory=lambda: RunId(new_id("run")))

    @property
    def context(self) -> TenantContext:
        groups = frozenset({self.words.group})
        principal = Principal(self.person, PrincipalKind.USER, groups=groups)
        return TenantContext(self.tenant, principal, plan="team", region="eu", correlation=self.words.correlation)

    @property
    def data(self) -> TenantData:
        return self.store.tenant(self.context)

    async def fill(self) -> "Governed":
        await self.onboard()
        await self.bring()
        await self._answered()
        self.live = await self._begun(self.running)
        waiting = await self._begun(self.parked)
        arguments = self.content(self.words.parked, ContentClass.ARGUMENTS)
        parked = RunParked(cause="approval", until="2026-01-02T00:00:00.000Z")
        model = ModelFinished(
            step=1, outcome="answered", logical="chat", proposals=(Proposal(call=0, tool="issue_refund"),)
        )
        await waiting.append([model, self._asked(arguments), parked], [arguments])
        return self

    def content(self, said: str, kind: ContentClass, owner: PrincipalId | None = None) -> Content:
        return Content.new(said.encode(), kind=kind, owner=owner or self.person)

    async def onboard(self) -> None:
        words, records = self.words, self.store.tenant(contexts.publisher("test")).records
        groups = {words.entra_group: words.group}
        record = TenantRecord(id=self.tenant, name=words.name, plan="team", region="eu", groups=groups)
        await records.put(self.tenant, record, etag=None)
        await records.put(f"org/{words.tid}", BindingRecord(tenant=self.tenant), etag=None)
        session = SessionRecord(
            tenant=self.tenant,
            principal=self.person,
            sealed=words.email,
            access_until="",
            began="",
            seen="",
            browser="Firefox",
        )
        await records.put(new_id("ses"), session, etag=None)
        profile = self.content(words.email, ContentClass.PROFILE)
        await self.data.content.put([profile])
        await self.data.records.put(words.oid, MemberRecord(principal=self.person, profile=profile.ref), etag=None)
        await self.data.records.put(
            self.person, PersonRecord(profile=profile.ref, groups=(words.group,), groups_at=0.0), etag=None
        )
        text = f"{words.policy} {words.reason}"
        await self.data.records.put("tenant", PolicyRecord(text=text, version=digest(text.encode())), etag=None)

    async def bring(self) -> None:
        words = self.words
        collection = CollectionRecord(
            id=words.collection,
            title=words.title,
            purpose=words.title,
            owner=self.person,
            integrity=Integrity.TRUSTED,
            confidentiality=Confidentiality.INTERNAL,
            readers=(words.group,),
        )
        await self.data.records.put(words.collection, collection, etag=None)
        title, text = self.content(words.title, ContentClass.TITLE), self.content(words.text, ContentClass.DOCUMENT)
        file = self.content(words.large * 20_000, ContentClass.DOCUMENT)  # more than one document of Cosmos DB takes
        await self.data.content.put([title, text, file])
        record = DocumentRecord(
            id=self.document,
            collection=words.collection,
            owner=self.person,
            title=title.ref,
            content=text.ref,
            passages=40,
            run=RunId(new_id("run")),
            brought_at=timestamp(SystemClock().now()),
            updated_at="2026-01-01T00:00:00.000Z",
        )
        await self.data.records.put(self.document, record, etag=None)
        passages = [
            passage(
                f"{words.text} " * (1 + number % 7),
                id_=f"{self.document}.{number}",
                collection=words.collection,
                document=self.document,
                owner=self.person,
                ordinal=number,
                content=record.term.content,
                since=record.term.since,
            )
            for number in range(40)
        ]
        await index(self.store, self.context, passages)

    async def _answered(self) -> None:
        words = self.words
        conversation = ConversationId(new_id("cnv"))
        writer = await self._begun(self.ended, conversation)
        shown = self.content(words.text, ContentClass.PASSAGES)
        answer = self.content(words.answer, ContentClass.ANSWER)
        use = PassageUse(
            passage=f"{self.document}.0", document=self.document, label=Label(), score=1, rank_vector=1, rank_text=1
        )
        cited = Citation(marker=1, passage=use.passage, document=self.document)
        await writer.append(
            [
                PassagesRetrieved(step=0, passages=(use,), content=shown.ref, duration_ms=1),
                AnswerGiven(message=answer.ref, citations=(cited,)),
                RunEnded(state=RunState.COMPLETED),
            ],
            [shown, answer],
        )
        title = self.content(words.question, ContentClass.TITLE)
        await self.data.content.put([title])
        record = ConversationRecord(
            id=conversation,
            owner=self.person,
            agent="support",
            opened_at="2026-01-01T00:00:00.000Z",
            title=title.ref,
            runs=(self.ended,),
        )
        await self.data.records.put(conversation, record, etag=None)

    async def _begun(self, run: RunId, conversation: ConversationId | None = None) -> RunWriter:
        words = self.words
        message = self.content(words.question, ContentClass.PROMPT)
        writer = RunWriter(self.data, run, actor=self.context.principal.actor)
        decision = Decision(
            lane=Lane.NEVER,
            policies=(f"tenant/{words.policy}",),
            reason=words.reason,
            policy_version=digest(words.policy.encode()),
            facts={"user_groups": (words.group,), "collections": (words.collection,), "step": 1},
        )
        bodies: list[Body] = [
            RunOpened(
                kind=RunKind.TURN,
                agent="support",
                conversation=conversation,
                message=message.ref,
                groups=(words.group,),
                correlation=words.correlation,
                versions=Versions(code="1", policy=digest(words.policy.encode())),
                deadline="2026-01-01T00:00:00.000Z",
            ),
            DecisionMade(step=1, kind=ActionKind.RETRIEVE, target=KNOWLEDGE, decision=decision),
        ]
        await writer.append(bodies, [message])
        return writer

    def _asked(self, arguments: Content) -> ApprovalRequested:
        return ApprovalRequested(
            approval=ApprovalId(new_id("apr")),
            step=1,
            call=0,
            tool="issue_refund",
            effect=Effect.WRITE,
            arguments=arguments.ref,
            policy_version=digest(self.words.policy.encode()),
            expires_at="2026-01-02T00:00:00.000Z",
        )

    async def search(self) -> int:
        """Return how many passages a member finds; they are in memory from then on."""
        query = Query(self.words.text, (self.words.collection,), 5)
        leave = permit(self.context, ActionKind.RETRIEVE, KNOWLEDGE, query.arguments)
        reader = Reader(self.person, frozenset({self.words.collection}))
        found = await self.data.knowledge.search(leave, query, vector=passage("x").vector, reader=reader)
        return len(found)

    async def erase(self, eraser: Eraser, subject: str, target: str) -> ErasureRecord:
        return await eraser.erase(self.tenant, subject, target, self.context.principal.actor)  # pyright: ignore[reportArgumentType] - one of the three


def eraser_of(store: Store, journal: Path | None = None) -> Eraser:
    clock = SystemClock()
    return Eraser(
        store, Erasures(store, clock, FileJournal(journal) if journal else None), clock, lambda _: Effect.WRITE
    )


def found_in(folder: Path, words: Sequence[str]) -> list[tuple[str, str]]:
    """Return which words are in which files of a folder, in any page and in any of the forms that they may have."""
    forms = {said: forms_of(said) for said in words}
    return [
        (file.name, said)
        for file in _files(folder)
        for data in [file.read_bytes()]
        for said, looks in forms.items()
        if any(form in data for form in looks)
    ]


def forms_of(said: str) -> list[bytes]:
    """Return a word's bytes: as text, in either byte order of UTF-16 too, and in base64 wherever it begins in that."""
    plain = said.encode()
    inside = [
        base64.b64encode(bytes(before) + plain)[begin : (before + len(plain)) * 8 // 6]
        for before, begin in ((0, 0), (1, 2), (2, 3))
    ]
    return [plain, said.encode("utf-16-le"), said.encode("utf-16-be"), *inside]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
