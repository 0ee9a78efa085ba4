"""How a run looks in a terminal: the text as it is written, and in dim lines what the agent does meanwhile."""

import re

from rich.cells import cell_len
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

_WORDS = re.compile(r"\n| *[^\s]+| +")


def plain(text: str) -> str:
    """Return `text` without what could steer a terminal: models and documents choose it."""
    return "".join(c if c.isprintable() or c == "\n" else " " if c.isspace() else "" for c in text)


def when(at: str) -> str:
    return f"{parse_timestamp(at):%d %B, %H:%M} UTC"


def say(console: Console, text: str, style: str = "") -> None:
    """Print a line, wrapped between words where there is a terminal to wrap for."""
    console.print(Text(plain(text), style=style), soft_wrap=not console.is_terminal)


class Flow:
    """Text that is printed while it comes, on a terminal with its lines broken between words."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._column = 0
        self._held = ""

    def write(self, text: str) -> None:
        """Print all but the last word, of which more may come."""
        *whole, self._held = _WORDS.findall(self._held + plain(text)) or [""]
        for word in whole:
            self._put(word)

    def end_line(self) -> None:
        self._put(self._held)
        self._held = ""
        if self._column:
            self._put("\n")

    def _put(self, word: str) -> None:
        width = cell_len(word)
        if self._console.is_terminal and self._column + width > self._console.width and self._column:
            self._put("\n")
            word = word.lstrip(" ")
        self._console.print(Text(word), end="", soft_wrap=True)
        self._column = 0 if word == "\n" else self._column + cell_len(word)


class Transcript:
    """Shows the events of one run, in the order in which they come.

    Attributes:
        state: of the run, as far as it was shown.
        conversation: that it belongs to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._flow = Flow(console)
        self._text = ""
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
                self._flow.end_line()
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
        self._text += text
        self._flow.write(text)

    def _catch_up(self, text: str) -> None:
        """Show what is missing of a text: a part of it, or all, may have been shown before the connection broke."""
        if not text.startswith(self._text):
            self._flow.end_line()
            self._text = ""
        self._write(text.removeprefix(self._text))

    def _line(self, text: str, style: str = "") -> None:
        self._flow.end_line()
        say(self._console, text, style)

    def _aside(self, text: str) -> None:
        self._line(f"  · {text}", "dim")

    def _decided(self, decided: Decided) -> None:
        decision = decided.decision
        if decided.kind == "call_model":
            self._text = ""
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
        self._catch_up(answered.text)
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
