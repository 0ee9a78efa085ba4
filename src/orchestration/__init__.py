"""The run: what comes next, what the model is shown, what it may do, and how it goes on after a crash.

Begin with `loop`, which is the way of a turn; `state` says what comes next.
"""

from orchestration.access import Access, access_of
from orchestration.app import OrchestrationDependencies, create_app
from orchestration.approvals import place_in
from orchestration.archive import MANIFEST, SEAL, Manifest, Vouch, archive
from orchestration.carriers import Carriers
from orchestration.checkpointing import Checkpointer
from orchestration.claims import Claims
from orchestration.conversation import parse_model_message
from orchestration.conversation_records import delete_conversation, rename_conversation
from orchestration.deputies import (
    DECIDERS,
    STAND_INS,
    deputies_of,
    deputy_named_by,
    may_stand_in,
    name_deputy,
    places_taken,
)
from orchestration.erasure import Eraser
from orchestration.exporting import Exporting
from orchestration.flags import Flag, flag_answer, flags_of, resolve_flag
from orchestration.grounds import markers_in, sentences_of
from orchestration.guarding import Watch, of_arguments, of_output
from orchestration.holds import HoldRecord, HoldScope, holds_of, in_the_way, refuse_held, release_hold, set_hold
from orchestration.presentation import Fetch, answer_text, present, shown_passages
from orchestration.quoting import Quoted
from orchestration.readers import ANYTHING, MARKDOWN, MEDIA_TYPES, Readers
from orchestration.records import (
    ApprovalRecord,
    CollectionRecord,
    ConversationRecord,
    DecidingAppRecord,
    DeputyRecord,
    DocumentRecord,
    Yes,
)
from orchestration.retention import RETENTION_KEY, RetentionRecord
from orchestration.sealing import Sealer
from orchestration.shown import ERASED, WITHHELD, ShownPassage
from orchestration.state import Progress, ProposalState, fold
from orchestration.store_driver import StoreDriver
from orchestration.stores import STORES, DataStore
from orchestration.streaming import fetcher
from orchestration.sweeping import Sweeper
from orchestration.telling import telling
from orchestration.turn import Services
from orchestration.undoing import Attempt, Done, attempts_at, effects_of, may_undo, why_not

__all__ = [
    "ANYTHING",
    "DECIDERS",
    "ERASED",
    "MANIFEST",
    "MARKDOWN",
    "MEDIA_TYPES",
    "RETENTION_KEY",
    "SEAL",
    "STAND_INS",
    "STORES",
    "WITHHELD",
    "Access",
    "ApprovalRecord",
    "Attempt",
    "Carriers",
    "Checkpointer",
    "Claims",
    "CollectionRecord",
    "ConversationRecord",
    "DataStore",
    "DecidingAppRecord",
    "DeputyRecord",
    "DocumentRecord",
    "Done",
    "Eraser",
    "Exporting",
    "Fetch",
    "Flag",
    "HoldRecord",
    "HoldScope",
    "Manifest",
    "OrchestrationDependencies",
    "Progress",
    "ProposalState",
    "Quoted",
    "Readers",
    "RetentionRecord",
    "Sealer",
    "Services",
    "ShownPassage",
    "StoreDriver",
    "Sweeper",
    "Vouch",
    "Watch",
    "Yes",
    "access_of",
    "answer_text",
    "archive",
    "attempts_at",
    "create_app",
    "delete_conversation",
    "deputies_of",
    "deputy_named_by",
    "effects_of",
    "fetcher",
    "flag_answer",
    "flags_of",
    "fold",
    "holds_of",
    "in_the_way",
    "markers_in",
    "may_stand_in",
    "may_undo",
    "name_deputy",
    "of_arguments",
    "of_output",
    "parse_model_message",
    "place_in",
    "places_taken",
    "present",
    "refuse_held",
    "release_hold",
    "rename_conversation",
    "resolve_flag",
    "sentences_of",
    "set_hold",
    "shown_passages",
    "telling",
    "why_not",
]
