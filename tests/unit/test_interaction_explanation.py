"""What a run tells of itself: to its reader, to the approver, and to somebody whom it affects."""

import pytest
from interaction_samples import (
    ANNA,
    APPROVAL,
    BEN,
    OWN,
    REGISTRY,
    START,
    UNTRUSTED,
    Tale,
    answered,
    asked,
    parked,
    proposed,
    resolved,
)

from control import AgentManifest
from core import Effect, Lane
from core.events import RunEnded, RunState, ToolFinished
from interaction.approval_view import view_approval
from interaction.decisions import decisions_of
from interaction.explanation import PlainWords, story_of
from interaction.plain_words import in_plain_words
from interaction.run_view import view_run
from orchestration import ApprovalRecord


async def _plain(tale: Tale, agents: dict[str, AgentManifest] | None = None) -> PlainWords:
    return in_plain_words(await story_of(tale.events, tale.fetch, REGISTRY, agents or {}))


async def test_plain_words_tell_who_asked_what_was_read_who_decided_why_and_what_was_done() -> None:
    plain = await _plain(answered(resolved(parked(asked()), BEN)))
    assert "23 November 2026, 14:05 UTC" in plain.asked
    assert "Please pay order A-1 back." in plain.asked
    assert "1 passage" in plain.looked_at
    assert "Refunds" in plain.looked_at
    assert "Money is paid back only if a person agrees." in plain.decided
    assert "approved it on" in plain.decided
    assert "“It came broken.”" in plain.decided
    assert plain.done.startswith("This was done: Pays 12.50 back for order A-1.")


async def test_plain_words_say_how_to_object_as_the_agent_s_manifest_has_it() -> None:
    agent = AgentManifest.model_construct(title="Helper", objection="Write to us.")
    plain = await _plain(answered(asked()), {"helper": agent})
    assert plain.objection == "Write to us."
    assert "“Helper”" in plain.asked


@pytest.mark.parametrize(
    ("tale", "decided", "done"),
    [
        (answered(asked()), "nothing to decide", "Nothing was changed"),
        (parked(asked()), "Nobody has decided yet", "waits for that decision"),
        (answered(resolved(parked(asked()), approved=False)), "said no on", "Nothing was changed"),
        (answered(proposed(asked(), Lane.NEVER, "Never.")), "The rules forbid this: Never.", "Nothing was changed"),
        (parked(asked()).tell(RunEnded(state=RunState.CANCELLED)), "before anybody decided", "Somebody ended it"),
        (
            proposed(asked(), Lane.AUTOMATIC, "Small.").tell(
                ToolFinished(
                    step=1, call=0, tool="pay_back", effect=Effect.WRITE, outcome="unknown", idempotency_key="k"
                ),
                RunEnded(state=RunState.OUTCOME_UNKNOWN),
            ),
            "without asking a person: Small.",
            "Nobody here can say whether this was done",
        ),
    ],
    ids=["only an answer", "waiting", "denied", "forbidden", "cancelled", "outcome unknown"],
)
async def test_plain_words_never_claim_what_did_not_happen(tale: Tale, decided: str, done: str) -> None:
    plain = await _plain(tale)
    assert decided in plain.decided
    assert done in plain.done
    assert "This was done" not in plain.done


async def test_a_decision_is_told_with_its_rules_its_approval_and_the_labels_of_its_arguments() -> None:
    tale = answered(resolved(parked(asked()), BEN))
    retrieval, model, first, again = await decisions_of(tale.events, tale.fetch, REGISTRY)
    assert (retrieval.outcome, model.outcome, first.outcome, again.outcome) == ("done", "done", "none", "done")
    assert first.argument_labels == {"order_id": OWN, "amount_cents": UNTRUSTED}
    assert not first.allowed
    assert again.allowed
    assert first.approval is not None
    assert first.approval == again.approval
    assert (first.approval.status, first.approval.approver) == ("approved", BEN.principal.id)
    assert first.approval.reason == "It came broken."
    assert len(first.sources) == 1
    assert retrieval.sources == []


async def test_what_was_erased_is_said_to_be_erased_and_breaks_nothing() -> None:
    tale = answered(resolved(parked(asked()), BEN))
    tale.content.clear()
    view = await view_run(tale.events, tale.fetch)
    assert view.message == "(erased)"
    assert view.answer is not None
    assert view.answer.text == "(erased)"
    plain = await _plain(tale)
    assert "erased" in plain.done
    assert "A-1" not in str(plain)


async def test_a_run_is_shown_with_its_answer_sources_and_usage() -> None:
    tale = answered(resolved(parked(asked()), BEN))
    view = await view_run(tale.events, tale.fetch)
    assert (view.state, view.requester, view.events) == (RunState.COMPLETED, ANNA.principal.id, len(tale.events))
    assert view.answer is not None
    assert [c.heading for c in view.answer.citations] == ["Refunds"]
    assert view.usage.tool_calls == 1
    assert view.pending_approval is None


async def test_a_parked_run_says_what_it_waits_for() -> None:
    tale = parked(asked())
    view = await view_run(tale.events, tale.fetch)
    assert view.state is RunState.PARKED
    assert view.pending_approval is not None
    assert view.pending_approval.approval == APPROVAL


def _record(tale: Tale) -> ApprovalRecord:
    requested = tale.events[-2].event.body
    assert requested.type == "approval_requested"
    return ApprovalRecord(
        id=APPROVAL,
        run=tale.run,
        step=1,
        call=0,
        agent="helper",
        tool="pay_back",
        effect=Effect.WRITE,
        arguments=requested.arguments,
        policy_version="p1",
        requester=ANNA.principal.id,
        requested_at=tale.events[-2].event.at,
        expires_at=requested.expires_at,
    )


async def test_an_approver_reads_what_would_happen_and_which_arguments_nobody_wrote() -> None:
    tale = parked(asked())
    view = await view_approval(
        _record(tale), events=tale.events, fetch=tale.fetch, registry=REGISTRY, context=BEN, now=START
    )
    assert view.consequence == "Pays 12.50 back for order A-1."
    assert view.arguments == {"order_id": "A-1", "amount_cents": 1250}
    assert view.argument_labels["amount_cents"] == UNTRUSTED
    assert view.message == "Please pay order A-1 back."
    assert [source.heading for source in view.sources] == ["Refunds"]
    assert view.may_decide


async def test_nobody_may_decide_what_they_asked_for_nor_what_has_expired() -> None:
    tale = parked(asked())
    record = _record(tale)
    own = await view_approval(record, events=tale.events, fetch=tale.fetch, registry=REGISTRY, context=ANNA, now=START)
    late = await view_approval(
        record, events=tale.events, fetch=tale.fetch, registry=REGISTRY, context=BEN, now=START.replace(year=2027)
    )
    assert not own.may_decide
    assert (late.status, late.may_decide) == ("expired", False)
