"""What a run tells of itself: to its reader, to the approver, and to somebody whom it affects."""

from datetime import datetime
from typing import Literal

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

from control import AgentManifest, Prompt
from core import Effect, Label, Lane, Origin, PrincipalId, TenantContext
from core.bodies import ModelFinished, ProposalRejected, RunEnded, RunOpened, ToolFinished
from core.parts import Proposal, RunKind, RunState, Usage, Versions
from interaction.alternatives import alternatives_of
from interaction.approval_view import ApprovalView, view_approval
from interaction.decisions import decisions_of
from interaction.explanation import PlainWords, story_of
from interaction.plain_words import ending, in_plain_words, money, used
from interaction.proposal_words import consequences_of, told_arguments
from interaction.run_view import view_run
from orchestration import ApprovalRecord
from tools.backoffice import backoffice_tools


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


def rejected(tool: str, cause: Literal["unknown_tool", "invalid_arguments", "malformed", "limit"]) -> Tale:
    """The agent proposed what is no action."""
    model = ModelFinished(
        step=1,
        outcome="answered",
        logical="chat",
        proposals=(Proposal(call=0, tool=tool),),
        usage=Usage(input_tokens=10, output_tokens=5, model_calls=1),
    )
    return asked().tell(model, ProposalRejected(step=1, call=0, tool=tool, cause=cause))


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


@pytest.mark.parametrize(
    ("tale", "not_done"),
    [
        (answered(resolved(parked(asked()))), "Nothing that was proposed was turned down."),
        (parked(asked()), "Nothing that was proposed was turned down."),
        (
            answered(resolved(parked(asked()), approved=False)),
            "This was not done: Pays 12.50 back for order A-1. A person with the right to decide said no.",
        ),
        (
            answered(proposed(asked(), Lane.NEVER, "Never.")),
            "This was not done: Pays 12.50 back for order A-1. The rules forbid it: Never.",
        ),
        (parked(asked()).tell(RunEnded(state=RunState.CANCELLED)), "It ended before anybody decided."),
        (
            proposed(asked(), Lane.AUTOMATIC, "Small.").tell(
                ToolFinished(
                    step=1, call=0, tool="pay_back", effect=Effect.WRITE, outcome="failed", idempotency_key="k"
                )
            ),
            "This was not done: Pays 12.50 back for order A-1. It was tried, and failed.",
        ),
        (answered(rejected("pay_back", "limit")), "the action “pay back”, which was not done, since it had taken"),
        (answered(rejected("unknown", "unknown_tool")), "an action, which was not done, since there is no such action"),
    ],
    ids=["all done", "waiting", "denied", "forbidden", "cancelled", "failed", "over the limit", "no such action"],
)
async def test_plain_words_say_what_was_not_done_and_why(tale: Tale, not_done: str) -> None:
    assert not_done in (await _plain(tale)).not_done


async def test_a_run_that_was_stopped_says_at_which_limit() -> None:
    tale = asked().tell(RunEnded(state=RunState.LIMIT_REACHED, code="limit.cost"))
    assert "It had spent as much as it may for one question." in (await _plain(tale)).done


async def test_runs_without_an_agent_speak_of_none() -> None:
    for kind, words in (
        (RunKind.SEARCH, "searched its documents"),
        (RunKind.INGESTION, "added a document"),
        (RunKind.ACCESS, "refused access"),
        (RunKind.ADMIN, "changes by the organisation's admins"),
    ):
        tale = Tale().tell(RunOpened(kind=kind, versions=Versions(code="1")), RunEnded(state=RunState.COMPLETED))
        plain = await _plain(tale)
        assert words in plain.asked
        assert "The agent" not in str(plain)


async def test_whoever_decides_reads_states_lanes_and_money_in_words_and_what_was_turned_down() -> None:
    tale = answered(rejected("pay_back", "invalid_arguments"))
    story = await story_of(tale.events, tale.fetch, REGISTRY, {})
    assert ending(story) == "The agent then gave its answer."
    assert used(story, "EUR") == "1 call of the AI model and 0 actions, 15 tokens, for 0.00 EUR."
    assert [(r.tool, r.why[:20]) for r in story.rejected] == [("pay_back", "what it wanted to do")]
    forbidden = proposed(asked(), Lane.NEVER, "No.")
    *_, last = await decisions_of(forbidden.events, forbidden.fetch, REGISTRY)
    assert last.verdict == "The rules forbid this"
    assert [money(n, "EUR") for n in (0, 7, 12_300, 12_500_000, 1_234_000_000)] == [
        "0.00 EUR",
        "0.000007 EUR",
        "0.0123 EUR",
        "12.50 EUR",
        "1,234.00 EUR",
    ]


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
    view = await view_run(tale.events, tale.fetch, named, ANNA)
    assert view.message == "(erased)"
    assert view.answer is not None
    assert view.answer.text == "(erased)"
    plain = await _plain(tale)
    assert "erased" in plain.done
    assert "A-1" not in str(plain)


async def test_a_run_is_shown_with_its_answer_sources_and_usage() -> None:
    tale = answered(resolved(parked(asked()), BEN))
    view = await view_run(tale.events, tale.fetch, named, ANNA)
    assert (view.state, view.requester, view.events) == (RunState.COMPLETED, ANNA.principal.id, len(tale.events))
    assert view.answer is not None
    assert [c.heading for c in view.answer.citations] == ["Refunds"]
    assert view.usage.tool_calls == 1
    assert view.pending_approval is None


async def test_a_parked_run_says_what_it_waits_for() -> None:
    tale = parked(asked())
    view = await view_run(tale.events, tale.fetch, named, ANNA)
    assert view.state is RunState.PARKED
    assert view.pending_approval is not None
    assert view.pending_approval.approval == APPROVAL


async def named(principal: str) -> str | None:
    return {ANNA.principal.id: "Anna North", BEN.principal.id: "Ben West"}.get(PrincipalId(principal))


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


async def _view(record: ApprovalRecord, tale: Tale, reader: TenantContext, now: datetime = START) -> ApprovalView:
    return await view_approval(
        record, events=tale.events, fetch=tale.fetch, registry=REGISTRY, context=reader, places=(), name=named, now=now
    )


async def test_an_approver_reads_what_would_happen_and_which_arguments_nobody_wrote() -> None:
    tale = parked(asked())
    view = await _view(_record(tale), tale, BEN)
    assert view.consequence == "Pays 12.50 back for order A-1."
    assert view.arguments == {"order_id": "A-1", "amount_cents": 1250}
    assert view.argument_labels["amount_cents"] == UNTRUSTED
    told = {argument.path: (argument.text, argument.untrusted) for argument in view.told}
    assert told == {"order_id": ("A-1", False), "amount_cents": ("12.50", True)}
    assert (view.on_behalf_of_name, view.decided) == ("Anna North", None)
    assert (view.then.reversible, view.then.taken_back_until) == (False, None)
    assert view.then.undo == "It cannot be undone."
    (refund,) = [tool for tool in backoffice_tools("https://nowhere.invalid") if tool.name == "issue_refund"]
    then = consequences_of(_record(tale), view.consequence, refund)
    assert (then.reversible, then.taken_back_until) == (False, "it is paid out")
    assert "26 November 2026, 14:05 UTC" in view.then.if_nobody_decides
    assert view.seconds_left == 3 * 24 * 60 * 60
    assert view.message == "Please pay order A-1 back."
    assert [source.heading for source in view.sources] == ["Refunds"]
    assert view.may_decide


@pytest.mark.parametrize(
    ("origin", "label", "prose", "words"),
    [
        (Origin.OWN_WORDS, OWN, (), "wrote exactly this"),
        (Origin.NORMALISED, OWN, (), "another spelling"),
        (Origin.NAMED_CHOICE, OWN, (), "no other"),
        (Origin.RECORD, OWN, (), "own records"),
        (Origin.COMPUTED, OWN, (), "computed from"),
        (Origin.READ, OWN, (), "nothing by outsiders"),
        (Origin.READ, UNTRUSTED, (), "Check it"),
        (Origin.READ, UNTRUSTED, ("order_id",), "only people read it"),
        (None, OWN, (), "or it stands in"),
    ],
)
async def test_an_approver_reads_where_each_value_came_from(
    origin: Origin | None, label: Label, prose: tuple[str, ...], words: str
) -> None:
    tale = parked(asked())
    decision = (await decisions_of(tale.events, tale.fetch, REGISTRY))[-1]
    changes: dict[str, object] = {
        "argument_labels": {"order_id": label},
        "argument_origins": {"order_id": origin} if origin else {},
        "facts": {"untrusted_prose": prose},
    }
    (told,) = told_arguments(decision.model_copy(update=changes), REGISTRY.get("issue_refund"))
    assert words in told.says
    assert (told.origin, told.untrusted) == (origin, label is UNTRUSTED)


async def test_nobody_may_decide_what_they_asked_for_nor_what_has_expired() -> None:
    tale = parked(asked())
    record = _record(tale)
    own = await view_approval(
        record, events=tale.events, fetch=tale.fetch, registry=REGISTRY, context=ANNA, places=(), name=named, now=START
    )
    late = await view_approval(
        record,
        events=tale.events,
        fetch=tale.fetch,
        registry=REGISTRY,
        context=BEN,
        places=(),
        name=named,
        now=START.replace(year=2027),
    )
    assert own.may_not_because == "You asked for this yourself; a colleague must decide it."
    assert not own.may_decide
    assert (late.status, late.may_decide) == ("expired", False)


# Alternatives that were refused.


async def _alternatives(tale: Tale) -> list[tuple[str, str, list[str]]]:
    decisions = await decisions_of(tale.events, tale.fetch, REGISTRY)
    return [(one.what, one.why, one.policies) for one in alternatives_of(decisions, tale.events)]


async def test_whoever_decides_reads_what_a_rule_or_a_person_refused_and_what_was_no_action() -> None:
    pays = "Pays 12.50 back for order A-1."
    by_rule = await _alternatives(proposed(asked(), Lane.NEVER, "Never this much."))
    assert [(what, why) for what, why, _ in by_rule] == [(pays, "Never this much.")]
    assert by_rule[0][2], "and which rule"
    said_no = resolved(parked(asked()), BEN, approved=False)
    assert await _alternatives(said_no) == [(pays, "A person said no.", [])]
    (made_up,) = await _alternatives(rejected("unknown", "unknown_tool"))
    assert made_up[0] == "An action that it does not have."
    assert await _alternatives(answered(resolved(parked(asked()), BEN))) == [], "what was done is no alternative"


async def test_an_approver_reads_what_else_the_agent_wanted_and_was_not_let() -> None:
    tale = parked(proposed(asked(), Lane.NEVER, "Never this much."))
    view = await _view(_record(tale), tale, BEN)
    assert [one.why for one in view.alternatives] == ["Never this much."]


async def test_nobody_whom_a_run_affects_is_told_the_agent_s_prompt_or_a_number_that_looks_like_certainty() -> None:
    agent = AgentManifest.model_construct(
        title="Helper", objection="Write to us.", system=Prompt(file="system.md", text="SECRET-PROMPT", sha256="0")
    )
    tale = answered(resolved(parked(asked()), BEN))
    plain = await _plain(tale, {"helper": agent})
    view = await view_run(tale.events, tale.fetch, named, ANNA)
    assert view.answer
    told = f"{plain.model_dump_json()} {view.answer.grounding.says}"
    assert "SECRET-PROMPT" not in told
    assert plain.objection == "Write to us."
    assert not [word for word in ("%", "confidence", "probab", "certain", "score") if word in told.lower()]
