"""What an agent proposes, in plain words: each value with who could have chosen it, and what follows."""

import re

from pydantic import JsonValue

from core import Effect, Integrity, Label, Origin
from interaction.answers import Told
from interaction.decisions import DecisionTold
from interaction.plain_words import day_and_time
from orchestration import ApprovalRecord
from tools import Tool

_EFFECTS = {
    Effect.READ: "It reads, and changes nothing.",
    Effect.WRITE: "It changes something in the organisation's own systems.",
    Effect.EXTERNAL: "It reaches somebody outside the organisation.",
    Effect.IRREVERSIBLE: "It destroys something for good.",
}

_ORIGINS = {
    Origin.OWN_WORDS: "The person who asked wrote exactly this.",
    Origin.NORMALISED: "The person who asked wrote this, in another spelling.",
    Origin.NAMED_CHOICE: "The person who asked named this choice, and no other.",
    Origin.RECORD: "It stands in the organisation's own records.",
    Origin.COMPUTED: "It was computed from one of the organisation's own records.",
    Origin.READ: "The model wrote it; until then it had read nothing by outsiders.",
}
_UNTRUSTED = "This may come from text that nobody vouches for, or from the model. Check it."
_PROSE = "This may come from text that nobody vouches for. Nothing acts on it, only people read it."
_LABEL_ALONE = "The person who asked wrote it, or it stands in the organisation's own records."
"""What is known of decisions from before origins were written down."""

_PART = re.compile(r"[^.\[\]]+")


class ArgumentTold(Told):
    """One value that the action is done with.

    Attributes:
        path: where it stands in `arguments`, such as `order_id` or `lines[0].sku`.
        text: the value as people read it.
        label: who could have chosen it.
        origin: what that rests on; null where it was not written down.
        untrusted: whether it may come from text that nobody vouches for: mark it.
        says: what that means, in a sentence.
    """

    path: str
    text: str
    label: Label
    origin: Origin | None
    untrusted: bool
    says: str


class Consequences(Told):
    """What follows from each decision, in plain words.

    Attributes:
        effect: how far the action reaches.
        reversible: whether the agent, or the person it acts for, can undo it.
        taken_back_until: until when a person can have it taken back from here, in words; null if nobody can.
        undo: both in a sentence.
    """

    effect: str
    if_approved: str
    if_denied: str
    if_nobody_decides: str
    reversible: bool
    taken_back_until: str | None
    undo: str


def told_arguments(decision: DecisionTold, tool: Tool | None) -> list[ArgumentTold]:
    """Return each labelled value in words; none where they were erased."""
    if decision.arguments is None:
        return []
    return [
        ArgumentTold(
            path=path,
            text=_text(path, _at(decision.arguments, path), tool),
            label=label,
            origin=decision.argument_origins.get(path),
            untrusted=label.integrity is Integrity.UNTRUSTED,
            says=origin_words(decision, path, label),
        )
        for path, label in decision.argument_labels.items()
    ]


def origin_words(decision: DecisionTold, path: str, label: Label) -> str:
    """Return in a sentence where the value at `path` came from."""
    if label.integrity is Integrity.UNTRUSTED:
        prose = decision.facts.get("untrusted_prose", ())
        return _PROSE if isinstance(prose, tuple) and path in prose else _UNTRUSTED
    origin = decision.argument_origins.get(path)
    return _ORIGINS[origin] if origin else _LABEL_ALONE


def _text(path: str, value: JsonValue, tool: Tool | None) -> str:
    if tool is None or isinstance(value, float | list | dict):
        return str(value)
    return tool.worded(path, value)


def _at(arguments: JsonValue, path: str) -> JsonValue:
    """Return the value at a path such as `lines[0].sku`; None where an older version of the tool had it."""
    value = arguments
    for part in _PART.findall(path):
        match value:
            case dict():
                value = value.get(part)
            case list() if part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            case _:
                return None
    return value


def _undo(tool: Tool | None, *, reversible: bool) -> str:
    said = "It can be undone." if reversible else "The agent cannot undo it."
    if tool and tool.undone_by:
        return f"{said} Until {tool.undone_by.until}, a person can have it taken back."
    return said if reversible else "It cannot be undone."


def _if_approved(record: ApprovalRecord, consequence: str) -> str:
    missing = record.approvers - len(record.given) - 1
    if missing <= 0:
        return f"{consequence} Then the agent goes on."
    others = "another person has" if missing == 1 else f"{missing} other people have"
    return f"Nothing yet: {others} to approve it too. Then: {consequence}"


def consequences_of(record: ApprovalRecord, consequence: str, tool: Tool | None) -> Consequences:
    reversible = tool is not None and tool.reversible
    return Consequences(
        effect=_EFFECTS[record.effect],
        if_approved=_if_approved(record, consequence),
        if_denied="It is not done. The agent goes on without it, and the person who asked reads your reason.",
        if_nobody_decides=f"It is not done. On {day_and_time(record.expires_at)} the agent goes on without it.",
        reversible=reversible,
        taken_back_until=tool.undone_by.until if tool and tool.undone_by else None,
        undo=_undo(tool, reversible=reversible),
    )
