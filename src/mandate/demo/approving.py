"""Chapter: money waits for a colleague, survives a power cut, and moves once."""

from http import HTTPStatus

from core import Json, new_id
from mandate.api import ApprovalPage, Run
from mandate.demo.report import expect
from mandate.demo.story import SHOP, Story
from mandate.turns import ended

ORDER = "A-20417"
REFUND = f"Please refund 4.90 EUR for order {ORDER} because the parcel came ten days late."
REASON = "The carrier confirms the delay, and standard delivery is 4.90."

SECONDS = 60.0
"""How long a run may take to end after its approval was decided, a restart included."""


async def refund_waits(story: Story) -> str:
    """Elif asks for a refund: nothing moves, the run waits for a colleague."""
    key = new_id("key")
    run = await story.ask("elif", REFUND, key)
    approval = _pending(run)
    story.notes |= {"key": key, "refund": run.run, "approval": approval}
    if story.machine:
        expect(await _refunds(story, run.run) == 0, "the back office counted a refund")
    return f"{run.run} waits on {approval}"


async def approval_says_what_it_is(story: Story) -> str:
    """The approval shows the tool, its exact arguments, and in plain words what will happen."""
    approval = await story.approval("noor", story.note("approval"))
    arguments = approval.arguments or {}
    expect(approval.tool == "issue_refund", f"it is about {approval.tool}")
    expect((arguments.get("order_id"), arguments.get("amount_cents")) == (ORDER, 490), f"arguments {arguments}")
    expect(ORDER in approval.consequence and "4.90" in approval.consequence, approval.consequence)
    expect(approval.may_decide, "Noor, an approver, may not decide it")
    return approval.consequence


async def elif_may_not_decide(story: Story) -> str:
    """Elif, who asked and is no approver, cannot approve it."""
    return await story.refused("elif", HTTPStatus.FORBIDDEN, "POST", _decision(story.note("approval")), _verdict())


async def others_do_not_see_it(story: Story) -> str:
    """Pavel, an approver of the other company, neither finds it, nor reads it, nor decides it."""
    approval = story.note("approval")
    page = ApprovalPage.model_validate(await (await story.person("pavel")).get("/v1/approvals"))
    expect(approval not in [line.approval for line in page.items], "it is in his list")
    read = await story.refused("pavel", HTTPStatus.NOT_FOUND, "GET", f"/v1/approvals/{approval}")
    decided = await story.refused("pavel", HTTPStatus.NOT_FOUND, "POST", _decision(approval), _verdict())
    return f"404 {read}, 404 {decided}"


async def power_cut(story: Story) -> str:
    """The product is killed with `kill -9` and started again: the run still waits, its approval is still open."""
    host, run, approval = story.host, story.note("refund"), story.note("approval")
    await host.cut_power()
    found = await story.run("elif", run)
    expect(found.state == "parked", f"the run is {found.state}")
    status = (await story.approval("noor", approval)).status
    expect(status == "pending", f"the approval is {status}")
    return f"{run} is {found.state}, {approval} is {status}"


async def colleague_approves(story: Story) -> str:
    """Noor approves with a reason, and the run completes."""
    approval, noor = story.note("approval"), await story.person("noor")
    await noor.post(_decision(approval), _verdict())
    run = await ended(noor, story.note("refund"), SECONDS)
    expect(run.state == "completed", f"{run.state} {run.code}")
    story.notes["approved"] = approval
    return run.answer.text if run.answer else ""


async def one_refund(story: Story) -> str:
    """The back office, which does not deduplicate, counted exactly one refund."""
    host, run = story.host, story.note("approved") and story.note("refund")
    count = await _refunds(story, run)
    expect(count == 1, f"it counted {count}")
    return f"{len(await host.effects(story.companies[SHOP].tenant))} write in all reached it"


async def explained(story: Story) -> str:
    """The explanation names the rule, who approved and why, and what was done."""
    story.note("approved")
    decisions = await story.decisions("elif", story.note("refund"), "issue_refund")
    first, last = decisions[0], decisions[-1]
    noor = await story.me("noor")
    expect(first.lane == "approval" and bool(first.policies) and bool(first.reason), f"{first.lane} {first.policies}")
    told = last.approval
    expect(told is not None and told.approver == noor.id and told.reason == REASON, f"approval: {told}")
    expect(last.outcome == "done", f"outcome: {last.outcome}")
    return f"{', '.join(first.policies)}: {first.reason}"


async def same_request_again(story: Story) -> str:
    """The same request under the same idempotency key is the same run, and has no second effect."""
    story.note("approved")
    run = await story.ask("elif", REFUND, story.note("key"))
    expect(run.run == story.note("refund"), f"it began {run.run}")
    if story.machine:
        expect(await _refunds(story, run.run) == 1, "there is a second refund")
    return f"{run.run}, {run.state}"


async def approver_is_refused_their_own(story: Story) -> str:
    """Noor, an approver, asks for a refund herself, and cannot approve it: a colleague must."""
    run = await story.ask("noor", f"Please refund 5.00 EUR for order {ORDER} because the box was torn.")
    approval = _pending(run)
    story.notes |= {"own": approval, "own run": run.run}
    code = await story.refused("noor", HTTPStatus.FORBIDDEN, "POST", _decision(approval), _verdict())
    expect(code == "approval.own", code)
    return code


async def denied_does_nothing(story: Story) -> str:
    """Jonas denies it, the run ends, and nothing was paid."""
    jonas = await story.person("jonas")
    body: Json = {"verdict": "denied", "reason": "A torn box is no ground for a refund."}
    await jonas.post(_decision(story.note("own")), body)
    run = await ended(jonas, story.note("own run"), SECONDS)
    expect(run.state == "completed", f"{run.state} {run.code}")
    if story.machine:
        expect(await _refunds(story, run.run) == 0, "it was paid")
    return run.answer.text if run.answer else ""


async def own_rule_forbids(story: Story) -> str:
    """The shop's own policy forbids refunds above 500 euros altogether, and gives its reason."""
    run = await story.ask("elif", "Please refund 600.00 EUR for order A-20426 because the tent leaks.")
    decisions = await story.decisions("elif", run.run, "issue_refund")
    expect(bool(decisions) and all(d.lane == "never" for d in decisions), f"{run.state}: {decisions}")
    expect(any("500" in policy for policy in decisions[0].policies), f"by {decisions[0].policies}")
    return decisions[0].reason


def _pending(run: Run) -> str:
    expect(run.state == "parked" and run.pending_approval is not None, f"{run.state} {run.code} {run.answer}")
    assert run.pending_approval is not None
    return run.pending_approval.approval


async def _refunds(story: Story, run: str) -> int:
    effects = await story.host.effects(story.companies[SHOP].tenant)
    return sum(effect.kind == "refund" and effect.run == run for effect in effects)


def _decision(approval: str) -> str:
    return f"/v1/approvals/{approval}/decision"


def _verdict() -> Json:
    return {"verdict": "approved", "reason": REASON}


STEPS = (
    refund_waits,
    approval_says_what_it_is,
    elif_may_not_decide,
    others_do_not_see_it,
    power_cut,
    colleague_approves,
    one_refund,
    explained,
    same_request_again,
    approver_is_refused_their_own,
    denied_does_nothing,
    own_rule_forbids,
)
