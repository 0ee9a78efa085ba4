"""Every place that keeps something of a tenant: how it is kept apart, how it is taken away, how it is erased.

This list is what erasing (`orchestration.erasure`) and exporting (`orchestration.archive`) walk through, in this order,
and what the build compares with the code: a kind of record, a table or a cache that is not in here fails it
(`tests/unit/test_store_registry.py`).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from control import (
    BudgetRecord,
    ChangeWindowsRecord,
    MemberRecord,
    MovedRecord,
    NoticeRecord,
    PersonRecord,
    PolicyRecord,
    PolicyVersion,
    RulesetRecord,
    SwitchesRecord,
)
from control.erasures import Subject
from data import NameKey
from orchestration import erasing, exporting
from orchestration.erasing import Erasing
from orchestration.exporting import Take
from orchestration.holds import HoldRecord
from orchestration.records import (
    ApprovalRecord,
    CancellationRecord,
    CollectionRecord,
    ConversationRecord,
    DecidingAppRecord,
    DeputyRecord,
    DocumentRecord,
)
from orchestration.retention import RetentionRecord

Step = Callable[[Erasing], Awaitable[int]]
"""Erases what the store has of the subject, and returns how much that was. Done again, it finds nothing."""


@dataclass(frozen=True, slots=True)
class DataStore:
    """One place.

    Attributes:
        places: what in the code belongs to it: `table:<name>`, `record:<kind>`, `memory:<file>:<attribute>`.
        isolates: how one tenant is kept from another's.
        exports: what of it is in a tenant's archive, or why nothing is.
        archives: gives that; None where nothing is.
        keeps: why nothing is erased where `erases` has no step for a subject.
    """

    name: str
    places: tuple[str, ...]
    isolates: str
    exports: str
    erases: Mapping[Subject, Step] = field(default_factory=dict[Subject, Step])
    keeps: str = ""
    archives: Take | None = None


_RECORDS = (
    *(ApprovalRecord, BudgetRecord, CollectionRecord, ConversationRecord, DocumentRecord, MemberRecord),
    *(NameKey, PersonRecord, PolicyRecord, PolicyVersion, RulesetRecord, CancellationRecord, HoldRecord),
    *(MovedRecord, SwitchesRecord, DeputyRecord, DecidingAppRecord, ChangeWindowsRecord, NoticeRecord),
    RetentionRecord,
)

_BY_TENANT = "the tenant is in every statement"
_MINTED = "ids that we minted and numbers only"

STORES = (
    DataStore(
        name="evidence",
        places=("record:evidence_checkpoint", "record:evidence_changes", "record:evidence_key"),
        isolates=f"{_BY_TENANT}; the public keys are the publisher's",
        exports="every checkpoint, with its signature and what it covers; in a person's archive the last one, by run",
        archives=exporting.evidence,
        keeps=f"vouches for the log, which stays: {_MINTED}, and hashes. What is anchored elsewhere is the same",
    ),
    DataStore(
        name="log",
        places=("table:events", "container:events"),
        isolates=_BY_TENANT,
        exports="every event, as it is on disk",
        archives=exporting.runs,
        erases={"tenant": erasing.end_runs, "person": erasing.end_runs},
        keeps="events hold no content; names in them go with the tenant's key. Runs under way are ended",
    ),
    DataStore(
        name="knowledge",
        places=("table:passages", "table:passage_versions", "table:search_", "container:passages"),
        isolates=f"{_BY_TENANT}, and each has a full-text table of its own",
        exports="every passage of every document, with its vector; none in a person's archive",
        archives=exporting.passages,
        erases={"tenant": erasing.all_knowledge, "document": erasing.passages_of_document},
        keeps="documents are their organisation's, not the person's who brought them",
    ),
    DataStore(
        name="content",
        places=("table:content", "table:holds", "table:retention", "container:content"),
        isolates=_BY_TENANT,
        exports="every piece, with its key",
        archives=exporting.content,
        erases={
            "tenant": erasing.all_content,
            "person": erasing.content_of_person,
            "document": erasing.content_of_document,
        },
    ),
    DataStore(
        name="records",
        places=(
            "table:records",
            "container:records",
            *(f"record:{model.kind}" for model in _RECORDS),
        ),
        isolates=_BY_TENANT,
        exports="every record, the key of its names among them; in a person's archive their own alone",
        archives=exporting.records(_RECORDS),
        erases={
            "tenant": erasing.all_records,
            "person": erasing.records_of_person,
            "document": erasing.record_of_document,
        },
    ),
    DataStore(
        name="directory",
        places=("record:tenant", "record:binding", "record:entitlement_override"),
        isolates="in the publisher's tenant, found by id or by a verified identity only",
        exports="the tenant's own entry and bindings; none in a person's archive",
        archives=exporting.directory,
        erases={"tenant": erasing.directory_entries},
        keeps="names organisations, neither people nor documents",
    ),
    DataStore(
        name="subscriptions",
        places=(
            *("record:subscription", "record:delivery", "record:open_delivery", "record:landing"),
            *("record:reconciliation", "record:application", "record:orders"),
        ),
        isolates="the publisher's, under the marketplace's ids; each names its tenant, and no page gives another's",
        exports="nothing: the customer has it where they bought it",
        erases={"tenant": erasing.subscriptions},
        keeps="for whom it was bought stays as long as the subscription: the marketplace says it with every look",
    ),
    DataStore(
        name="bills",
        places=("record:meter", "record:usage_event"),
        isolates="the publisher's, under the marketplace's ids; each names its tenant, and no page gives another's",
        exports="nothing: the customer has it from whoever sends the bill",
        keeps=f"accounts of what was billed outlive the tenant: {_MINTED}",
    ),
    DataStore(
        name="sessions",
        places=("record:session",),
        isolates="found by a secret that only the browser has; tokens are sealed under it",
        exports="nothing: they open doors and hold no data",
        erases={"tenant": erasing.sessions, "person": erasing.sessions},
        keeps="hold nothing of documents",
    ),
    DataStore(
        name="views",
        places=("table:view_rows", "table:checkpoints", "container:views", "record:checkpoint"),
        isolates=_BY_TENANT,
        exports="not by itself: it is made from the log",
        keeps="rebuilt from the log, and like it without content or names",
    ),
    DataStore(
        name="erasures",
        places=("record:erasure", "record:open_erasure", "table:barred"),
        isolates="the tenant is the beginning of the key",
        exports="the tenant's own, with their receipts; none in a person's archive",
        archives=exporting.erasures,
        keeps="what makes sure that nothing comes back: ids that we minted only",
    ),
    DataStore(
        name="processes",
        places=(
            "record:service_key",
            "record:configuration",
            "record:carrier",
            "record:wake",
            "record:checkpoint_turn",
        ),
        isolates="the publisher's: public keys and leases of our own processes, and which run one shall look at",
        exports=f"nothing: {_MINTED}",
        keeps=_MINTED,
    ),
    DataStore(
        name="vectors in memory",
        places=("memory:data/sqlite/ranking.py:Indexes._held",),
        isolates="one index for each tenant",
        exports="not by itself: it is made from the passages",
        keeps="dropped by the process that erases; elsewhere not used after the next search, which sees the change",
    ),
    DataStore(
        name="caches",
        places=(
            "memory:control/directory.py:Directory._tenants",
            "memory:control/directory.py:Directory._members",
            "memory:control/directory.py:Directory._known",
            "memory:control/features.py:Features._schedules",
            "memory:control/entitlements.py:Entitlements._cache",
            "memory:control/policy_store.py:Policies._cache",
            "memory:control/switches.py:Switches._known",
            "memory:control/keys.py:StoreKeys._cache",
            "memory:control/cache.py:Cache._entries",
            "memory:web/tokens.py:TokenValidator._verified",
        ),
        isolates="the key has the tenant, or is a hash of the caller's own token",
        exports="not by itself: copies of records, and of tokens",
        keeps="not used after five seconds, switches until they change, and forgotten a minute after; a token's claims "
        "when others take the room",
    ),
    DataStore(
        name="live runs",
        places=(
            "memory:orchestration/live.py:Hub._runs",
            "memory:orchestration/live.py:Live.known",
            "memory:orchestration/runs.py:Runs._turns",
        ),
        isolates="tenant and run are the key",
        exports="not by itself: what is said there is in the log and the content",
        keeps="a run that is ended by an erasure is let go of at its next step, which is refused",
    ),
    DataStore(
        name="counters",
        places=(
            "memory:control/access.py:AccessLog._logs",
            "memory:control/access.py:AccessLog._refusals",
            "memory:control/access.py:AccessLog._free_at",
            "memory:control/budgets.py:Budgets._known",
            "memory:control/budgets.py:Budgets._owed",
            "memory:control/budgets.py:Budgets._seen",
            "memory:control/budgets.py:Budgets._batches",
            "memory:control/batches.py:Batches._queues",
            "memory:data/cosmos/governed.py:Decided._known",
            "memory:data/cosmos/log.py:Heads._known",
            "memory:orchestration/checkpointing.py:Checkpointer._known",
            "memory:interaction/changes.py:Changes._listeners",
            "memory:interaction/changes.py:Changes._streams",
            "memory:web/limits.py:RateLimiter._buckets",
            "memory:web/nonces.py:SeenNonces._forget_at",
        ),
        isolates="the tenant is in the key",
        exports=f"nothing: {_MINTED}",
        keeps=_MINTED,
    ),
    DataStore(
        name="telemetry",
        places=("memory:telemetry/tracing.py:spans", "memory:telemetry/records.py:log records"),
        isolates="each span, metric and line names its tenant",
        exports=f"nothing: {_MINTED}",
        keeps=f"{_MINTED}; kept for as long as whoever collects it keeps it",
    ),
)
"""In the order in which an erasure and an archive go through them."""
