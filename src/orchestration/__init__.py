"""The run: what comes next, what the model is shown, what it may do, and how it goes on after a crash.

Begin with `loop`, which is the way of a turn; `state` says what comes next.
"""

from orchestration.app import OrchestrationDependencies, create_app
from orchestration.conversation import parse_model_message
from orchestration.erasing import erase_document
from orchestration.presentation import Fetch, answer_text, present, shown_passages
from orchestration.quoting import Quoted
from orchestration.readers import ANYTHING, MARKDOWN, MEDIA_TYPES, Readers
from orchestration.records import ApprovalRecord, CollectionRecord, ConversationRecord, DocumentRecord, may_read
from orchestration.retrieval import ShownPassage
from orchestration.state import Progress, ProposalState, fold
from orchestration.streaming import fetcher
from orchestration.turn import Services

__all__ = [
    "ANYTHING",
    "MARKDOWN",
    "MEDIA_TYPES",
    "ApprovalRecord",
    "CollectionRecord",
    "ConversationRecord",
    "DocumentRecord",
    "Fetch",
    "OrchestrationDependencies",
    "Progress",
    "ProposalState",
    "Quoted",
    "Readers",
    "Services",
    "ShownPassage",
    "answer_text",
    "create_app",
    "erase_document",
    "fetcher",
    "fold",
    "may_read",
    "parse_model_message",
    "present",
    "shown_passages",
]
