"""What else an agent wanted to do in a run and was not let: for whoever decides, beside what is to be decided."""

from collections.abc import Sequence

from core import ActionKind, Lane
from core.bodies import ProposalRejected
from core.events import Stored
from interaction.answers import Told
from interaction.decisions import DecisionTold

CAUSES = {
    "unknown_tool": "there is no such action for it",
    "invalid_arguments": "what it wanted to do it with does not fit the action",
    "malformed": "it could not be read as an action",
    "limit": "it had taken as many actions as it may for one question",
}


class Alternative(Told):
    """Something that the agent proposed and that was refused, by a rule or by a person, or was no action at all.

    Attributes:
        seq: number of the event that says so.
        what: what it would have done, in plain words; values in quotation marks were chosen by the model.
        why: why it was not let.
        policies: those that refused it; none where a person did, or where there was nothing to decide.
    """

    seq: int
    what: str
    why: str
    policies: list[str]


def alternatives_of(decisions: Sequence[DecisionTold], events: Sequence[Stored]) -> list[Alternative]:
    """Return all that the agent proposed among these and was refused, in the order of the log."""
    refused = [one for decision in decisions if (one := _refused(decision))]
    return sorted([*refused, *_no_actions(events)], key=lambda one: one.seq)


def _refused(decision: DecisionTold) -> Alternative | None:
    if decision.kind is not ActionKind.CALL_TOOL:
        return None
    what = decision.consequence or f"Calls {decision.target}."
    if decision.lane is Lane.NEVER:
        return Alternative(seq=decision.seq, what=what, why=decision.reason, policies=decision.policies)
    if decision.approval and decision.approval.status in ("denied", "expired"):
        why = "A person said no." if decision.approval.status == "denied" else "Nobody decided in time."
        return Alternative(seq=decision.seq, what=what, why=why, policies=[])
    return None


def _no_actions(events: Sequence[Stored]) -> list[Alternative]:
    return [
        Alternative(
            seq=stored.event.seq,
            what="An action that it does not have." if body.tool == "unknown" else f"Calls {body.tool}.",
            why=f"It was none, since {CAUSES[body.cause]}.",
            policies=[],
        )
        for stored in events
        if isinstance(body := stored.event.body, ProposalRejected)
    ]
