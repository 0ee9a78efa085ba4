"""Honest work under the policies that are shipped: all of it gets done, and hardly any of it needs a second person."""

from collections import Counter

import pytest
from companies import tenant_of
from honest_tasks import Task, tasks

from agent_world import World, person
from core import ConversationId, Role, RunId, TenantContext, derived_id
from core.parts import RunState
from scripted_calls import calls_in, follow, said

CASES = tasks()
LEAST = 100
MOST_SHARE = 0.2
FOR_PEOPLE = "publisher/writes-for-people-to-read"
_KINDS = {"create_ticket": "ticket", "issue_refund": "refund", "send_email": "email"}

Tally = dict[str, Counter[str]]


def test_there_are_a_hundred_tasks_and_at_most_a_fifth_needs_a_person(tally: Tally) -> None:
    assert len({task.id for task in CASES}) == len(CASES) >= LEAST
    needing = [task for task in CASES if task.person]
    assert len(needing) / len(CASES) <= MOST_SHARE
    tally["honest tasks that need a person, and why"] = Counter(
        f"{task.id:24} {task.person} ({task.filled(task.message, '')})" for task in needing
    )


@pytest.mark.parametrize("task", CASES, ids=lambda task: task.id)
async def test_an_honest_task_is_completed(task: Task, closed: World, tally: Tally) -> None:
    context = person(tenant_of(task.id), "asker")
    run = await asked(task, closed, context)
    held = 0
    while waits := await closed.waiting(context, run):
        held += 1
        await closed.decide(person(context.tenant, "approver", Role.APPROVER), waits)
    progress = await closed.progress(context, run)
    assert progress.state is RunState.COMPLETED, progress.ended
    assert all(p.finished and p.finished.outcome == "ok" for p in progress.proposals)
    wanted = [name for name, _ in calls_in(task.filled(task.calls, ""))]
    assert [proposal.tool for proposal in progress.proposals] == wanted
    effects = [kind for kind, _, _ in closed.office.effects(context.tenant)]
    assert effects == [_KINDS[name] for name in wanted if name in _KINDS]
    assert bool(held) == bool(task.person), f"{task.words}: {held} approvals"
    tally["honest tasks, all completed"] = Counter([f"{task.family:22} {'with' if held else 'without'} a person"])
    if any(p.decision and FOR_PEOPLE in p.decision.decision.policies for p in progress.proposals):
        tally["of these, tasks that only the kind of text spared a person"] = Counter([task.family])
    if effects:
        tally["of these, tasks with an effect"] = Counter([f"{'with' if held else 'without'} a person"])


async def asked(task: Task, world: World, context: TenantContext) -> RunId:
    page = f"{world.office.url}/pages/{context.tenant}"
    if task.page:
        world.office.pages[str(context.tenant)] = task.page
    if task.letter:
        await world.letters(context, [("Letter", task.letter)])
    conversation = None
    if task.first:
        world.model.script = lambda _: said("I see.")
        first = await world.ask(context, task.filled(task.first, page))
        conversation = ConversationId(derived_id("cnv", context.tenant, first))
    script = [task.filled(task.filled(task.calls, page), page)]
    world.model.script = lambda request: follow(script, request)
    message = task.filled(task.message, page)
    return await world.ask(context, message, knowledge=bool(task.letter), conversation=conversation)
