"""The run: what comes next, what the model is shown, what it may do, and how it goes on after a crash.

Begin with `loop`, which is the way of a turn; `state` says what comes next.
"""

from orchestration.app import OrchestrationDependencies, create_app
from orchestration.archive import MANIFEST, Manifest, archive
from orchestration.carriers import Carriers
from orchestration.conversation import parse_model_message
from orchestration.conversation_records import delete_conversation, rename_conversation
from orchestration.erasure import Eraser
from orchestration.exporting import Exporting
from orchestration.flags import Flag, flag_answer, flags_of, resolve_flag
from orchestration.presentation import ERASED, Fetch, answer_text, present, shown_passages
from orchestration.quoting import Quoted
from orchestration.readers import ANYTHING, MARKDOWN, MEDIA_TYPES, Readers
from orchestration.records import ApprovalRecord, CollectionRecord, ConversationRecord, DocumentRecord, may_read
from orchestration.retrieval import ShownPassage
from orchestration.state import Progress, ProposalState, fold
from orchestration.store_driver import StoreDriver
from orchestration.stores import STORES, DataStore
from orchestration.streaming import fetcher
from orchestration.telling import telling
from orchestration.turn import Services

__all__ = [
    "ANYTHING",
    "ERASED",
    "MANIFEST",
    "MARKDOWN",
    "MEDIA_TYPES",
    "STORES",
    "ApprovalRecord",
    "Carriers",
    "CollectionRecord",
    "ConversationRecord",
    "DataStore",
    "DocumentRecord",
    "Eraser",
    "Exporting",
    "Fetch",
    "Flag",
    "Manifest",
    "OrchestrationDependencies",
    "Progress",
    "ProposalState",
    "Quoted",
    "Readers",
    "Services",
    "ShownPassage",
    "StoreDriver",
    "answer_text",
    "archive",
    "create_app",
    "delete_conversation",
    "fetcher",
    "flag_answer",
    "flags_of",
    "fold",
    "may_read",
    "parse_model_message",
    "present",
    "rename_conversation",
    "resolve_flag",
    "shown_passages",
    "telling",
]
