"""How a run looks in a terminal: the text as it is written, and in dim lines what the agent does meanwhile."""

from rich.console import Console
from rich.text import Text

from core import Lane, parse_timestamp
from mandate.api import (
    Answered,
    Asked,
    Decided,
    Ended,
    Opened,
    Passage,
    Rejected,
    Resolved,
    Retrieved,
    ToolDone,
)
from mandate.api import Text as Piece
from web import ServerEvent

_NEXT = {
    "refused": "The rules do not allow it. Ask somebody who may, or change the rules with an admin.",
    "failed": "Nothing more was done. Try again; if it fails again, give the code to whoever runs this product.",
    "cancelled": "What was done before stays done.",
    "limit_reached": "It reached one of its limits. Ask for less at a time.",
    "expired": "Time ran out. Ask again.",
    "outcome_unknown": "Nobody here can say whether the last action happened. Look in the system itself first.",
}

_LONGEST_VALUE = 60


def plain(text: str) -> str:
    """Return `text` without what could steer a terminal: models and documents choose it."""
    return "".join(c for c in text if c.isprintable() or c == "\n")


def when(at: str) -> str:
    return f"{parse_timestamp(at):%d %B, %H:%M} UTC"


class Transcript:
    """Shows the events of one run, in the order in which they come.

    Attributes:
        state: of the run, as far as it was shown.
        conversation: that it belongs to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._written = ""
        self._sources: dict[str, Passage] = {}
        self.state = "running"
        self.conversation = ""

    def show(self, event: ServerEvent) -> None:  # noqa: C901, PLR0912 - one case for each kind of event
        match event.event:
            case "delta":
                self._write(Piece.model_validate_json(event.data).text)
            case "snapshot":
                self._catch_up(Piece.model_validate_json(event.data).text)
            case "run_opened":
                self.conversation = Opened.model_validate_json(event.data).conversation or ""
            case "decision_made":
                self._decided(Decided.model_validate_json(event.data))
            case "passages_retrieved":
                self._retrieved(Retrieved.model_validate_json(event.data))
            case "proposal_rejected":
                rejected = Rejected.model_validate_json(event.data)
                self._aside(f"proposed {rejected.tool}, which cannot be done: {rejected.cause.replace('_', ' ')}")
            case "tool_finished":
                done = ToolDone.model_validate_json(event.data)
                self._aside(f"{done.tool}: {done.error or done.outcome} ({done.duration_ms} ms)")
            case "approval_requested":
                self._asked(Asked.model_validate_json(event.data))
            case "approval_resolved":
                resolved = Resolved.model_validate_json(event.data)
                self._aside(f"the approval was {resolved.verdict}. {resolved.reason_text}")
            case "model_finished":
                self._end_line()
            case "answer_given":
                self._answered(Answered.model_validate_json(event.data))
            case "run_parked":
                self.state = "parked"
            case "run_resumed":
                self.state = "running"
            case "run_ended":
                self._ended(Ended.model_validate_json(event.data))
            case _:
                pass

    def _write(self, text: str) -> None:
        self._written += text
        self._console.print(Text(plain(text)), end="", soft_wrap=True)

    def _catch_up(self, text: str) -> None:
        """Go on in a text of which a part was shown before the connection broke."""
        if not text.startswith(self._written):
            self._end_line()
        self._write(text.removeprefix(self._written))

    def _end_line(self) -> None:
        if self._written and not self._written.endswith("\n"):
            self._console.print()
        self._written = ""

    def _line(self, text: str, style: str = "") -> None:
        self._end_line()
        self._console.print(Text(plain(text), style=style), soft_wrap=True)

    def _aside(self, text: str) -> None:
        self._line(f"  · {text}", "dim")

    def _decided(self, decided: Decided) -> None:
        decision = decided.decision
        if decision.lane is Lane.NEVER:
            self._line(f"  × {_action(decided)}: {decision.reason}", "red")
            self._aside(
                f"refused by {', '.join(decision.policies) or 'default'}; a person may do it where it is theirs"
            )
        elif decided.kind == "call_tool":
            allowed = "approved" if decided.approval else decision.lane.value
            self._aside(f"{_action(decided)}: {allowed}. {decision.reason}")

    def _retrieved(self, retrieved: Retrieved) -> None:
        self._sources = {source.passage: source for source in retrieved.sources}
        self._aside(f"searched the documents: {len(retrieved.sources)} passages")

    def _asked(self, asked: Asked) -> None:
        self._line(f"  ? Waits for a colleague's approval until {when(asked.expires_at)} ({asked.approval})", "yellow")

    def _answered(self, answered: Answered) -> None:
        self._line("")
        for citation in answered.citations:
            source = self._sources.get(citation.passage)
            self._line(f"  [{citation.marker}] {source.heading if source else citation.document}", "cyan")

    def _ended(self, ended: Ended) -> None:
        self.state = ended.state
        if ended.state != "completed":
            code = f" ({ended.code})" if ended.code else ""
            self._line(f"  × {ended.state.replace('_', ' ')}{code}. {_NEXT.get(ended.state, '')}", "red")


def _action(decided: Decided) -> str:
    """Return a call as one line, long values cut."""
    if not isinstance(decided.proposed, dict):
        return decided.target
    values = ", ".join(f"{name}={_short(value)}" for name, value in decided.proposed.items() if value is not None)
    return f"{decided.target}({values})"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
