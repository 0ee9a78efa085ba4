"""What events are made of: the kinds and states of a run, its limits and usage, and what stands in lists in them."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from core.ids import DocumentId, RunId
from core.labels import Label


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunKind(StrEnum):
    TURN = "turn"
    INGESTION = "ingestion"
    SEARCH = "search"
    ACCESS = "access"
    ADMIN = "admin"


class RunState(StrEnum):
    """Where a run is. All but the first two are ends, and every run reaches one of them."""

    RUNNING = "running"
    PARKED = "parked"
    COMPLETED = "completed"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LIMIT_REACHED = "limit_reached"
    OUTCOME_UNKNOWN = "outcome_unknown"

    @property
    def ended(self) -> bool:
        return self not in (RunState.RUNNING, RunState.PARKED)


class Versions(Part):
    """What was in force when the run began: enough to say why it behaved as it did."""

    code: str
    agent: str = ""
    prompts: dict[str, str] = {}
    """Prompt file name to SHA-256 of its text."""
    policy: str = ""
    models: dict[str, str] = {}
    """Logical model to `target@version` of its first target."""
    index: str = ""


class Limits(Part):
    steps: int
    tool_calls: int
    tokens: int
    output_tokens: int
    """Of one model call."""
    cost_micros: int
    seconds: int


class Usage(Part):
    """Tokens, and cost in millionths of the catalogue's currency."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0
    model_calls: int = 0
    tool_calls: int = 0

    def plus(self, other: "Usage") -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})


class PassageUse(Part):
    """A passage that the model was shown. Scores are in millionths; ranks start at 1, 0 means not found that way.

    Attributes:
        similarity: cosine of question and passage, in millionths; 0 where the two cannot be compared.
    """

    passage: str
    document: DocumentId
    label: Label
    score: int
    rank_vector: int
    rank_text: int
    similarity: int = 0


class Undoes(Part):
    """What a run takes back by `tool`: what `did` had done in another run, of which that one's event `seq` tells."""

    run: RunId
    seq: int
    did: str
    tool: str


class Proposal(Part):
    """An action that the model proposed; its arguments are content until the gate has seen them."""

    call: int
    tool: str
    """A registered tool's name, or `unknown`: what the model made up is content."""


class Citation(Part):
    marker: int
    passage: str
    document: DocumentId


class Grounds(Part):
    """What was counted of an answer when it was given. None of it says that the answer is right.

    Attributes:
        sentences: how many the answer has.
        cited: how many of these carry a citation of a passage that was shown.
        like_source: how many of those that cite share at least half of their longer words with what they cite.
        numbers: how many different numbers the answer has, citations aside.
        numbers_read: how many of these stand in something that was read for it.
    """

    sentences: int
    cited: int
    like_source: int
    numbers: int
    numbers_read: int


class FlagKind(StrEnum):
    WRONG = "wrong"
    UNSAFE = "unsafe"
    NOT_GROUNDED = "not_grounded"
    OFFENSIVE = "offensive"
    PRIVACY = "privacy"
    OTHER = "other"
