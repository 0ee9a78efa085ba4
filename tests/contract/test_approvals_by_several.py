"""Where the rules ask for several people: different ones, each once, never who asked, and all on record."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from agent_world import CLOCK, World, open_office, open_world, person
from control import NewPolicies
from core import ApprovalId, Role, RunId, TenantId, derived_id, new_id
from core.bodies import ApprovalGiven, ApprovalRequested, ApprovalResolved, DecisionMade
from core.errors import Conflict, Forbidden, MandateError, NotFound
from core.parts import RunState
from data import APPROVALS, ApprovalSummary, Projector, Store, read_run
from emulators.backoffice import BackofficeSeed
from orchestration import ApprovalRecord
from orchestration.approvals import Verdict, decide
from scripted_calls import follow

TENANT = TenantId(derived_id("ten", "several"))
ASKER = person(TENANT, "asker", Role.USER, Role.APPROVER)
FIRST, SECOND, THIRD = (person(TENANT, name, Role.APPROVER) for name in ("first", "second", "third"))
SEED = """{"tickets": [],
"customers": [{"id": "C-1", "name": "Ada", "email": "ada@berg.example", "since": "2024-01-01"}],
"orders": [{"id": "AB-100", "customer": "C-1", "placed": "2026-09-21", "status": "delivered", "currency": "EUR",
"city": "Turku", "total_cents": 9000, "items": [{"sku": "S", "name": "Lamp", "quantity": 1, "price_cents": 9000}]}]}"""


def asking_for(people: int) -> str:
    return (
        f'@id("several") @lane("approval") @approvers("{people}") @reason("Several have to look.")'
        'permit (principal, action == Mandate::Action::"call_tool", resource) when { context.effect != "read" };'
    )


@dataclass
class Waiting:
    """A refund that waits for two people."""

    world: World
    run: RunId
    approval: ApprovalId

    async def record(self) -> ApprovalRecord:
        found = await self.world.store.tenant(ASKER).records.get(ApprovalRecord, self.approval)
        assert found
        return found.value

    async def state(self) -> RunState:
        return (await self.world.progress(ASKER, self.run)).state

    def refunds(self) -> int:
        return len(self.world.office.effects(TENANT))


@pytest.fixture
async def waiting(store: Store, tmp_path: Path) -> AsyncGenerator[Waiting]:
    seeds: dict[str, BackofficeSeed] = {TENANT: BackofficeSeed.model_validate_json(SEED)}
    async with (
        open_office(tmp_path / "office", seeds) as office,
        open_world(store, office, environment=asking_for(2)) as world,
    ):
        world.model.script = lambda request: follow(
            ["[[issue_refund order_id=AB-100 amount_cents=1250 reason=Lamp]]"], request
        )
        run = await world.ask(ASKER, "Refund 12.50 EUR of AB-100")
        approval = await world.waiting(ASKER, run)
        assert approval
        yield Waiting(world, run, approval)


async def test_it_goes_ahead_with_the_second_person_and_both_are_on_record(waiting: Waiting) -> None:
    world = waiting.world
    await world.decide(FIRST, waiting.approval)
    assert (await waiting.state(), waiting.refunds()) == (RunState.PARKED, 0)
    await world.decide(SECOND, waiting.approval)
    assert (await waiting.state(), waiting.refunds()) == (RunState.COMPLETED, 1)

    data = world.store.tenant(ASKER)
    bodies = [stored.event.body for stored in await read_run(data, waiting.run)]
    requested = next(body for body in bodies if isinstance(body, ApprovalRequested))
    given = [body for body in bodies if isinstance(body, ApprovalGiven)]
    resolved = next(body for body in bodies if isinstance(body, ApprovalResolved))
    assert requested.approvers == 2
    assert [one.approver.id for one in given] == [FIRST.principal.id]
    assert resolved.approver == SECOND.principal.actor
    assert [await data.content.get(ref) for ref in (given[0].reason, resolved.reason) if ref] == [b"Seen."] * 2
    last = [body for body in bodies if isinstance(body, DecisionMade) and body.approval][-1]
    assert (last.approval, last.decision.approvers) == (waiting.approval, 2)


async def test_the_same_person_counts_once_and_who_asked_never(waiting: Waiting) -> None:
    await waiting.world.decide(FIRST, waiting.approval)
    with pytest.raises(ExceptionGroup) as again:
        await waiting.world.decide(FIRST, waiting.approval)
    assert again.group_contains(Conflict, match="approved this already")
    with pytest.raises(ExceptionGroup) as own:
        await waiting.world.decide(ASKER, waiting.approval)
    assert own.group_contains(Forbidden)
    assert (await waiting.state(), waiting.refunds()) == (RunState.PARKED, 0)


@pytest.mark.parametrize("who", [FIRST, SECOND], ids=["who approved before", "another"])
async def test_one_no_ends_it(waiting: Waiting, who: object) -> None:
    await waiting.world.decide(FIRST, waiting.approval)
    await waiting.world.decide(FIRST if who is FIRST else SECOND, waiting.approval, approve=False)
    assert (await waiting.record()).status == "denied"
    assert (await waiting.state(), waiting.refunds()) == (RunState.COMPLETED, 0)


async def test_the_list_says_how_many_have_approved(waiting: Waiting) -> None:
    await waiting.world.decide(FIRST, waiting.approval)
    store = waiting.world.store
    await Projector(store.platform).catch_up()
    (row,) = (await store.tenant(FIRST).views.list(APPROVALS.view, states=["pending"])).items
    line = ApprovalSummary.model_validate_json(row.body)
    assert (line.approvers, [given.by for given in line.given]) == (2, [FIRST.principal.id])


async def test_approvals_that_came_while_nobody_carried_the_run_all_get_into_its_log(waiting: Waiting) -> None:
    for approver in (FIRST, SECOND):
        await decide(waiting.world.services, approver, waiting.approval, verdict())
    async with asyncio.TaskGroup() as group:
        await waiting.world.runs(group).look(ASKER, waiting.run)
    kinds = [stored.event.body.type for stored in await read_run(waiting.world.store.tenant(ASKER), waiting.run)]
    assert [kind for kind in kinds if kind.startswith("approval_")] == [
        "approval_requested",
        "approval_given",
        "approval_resolved",
    ]
    assert waiting.refunds() == 1


async def test_what_was_approved_under_laxer_rules_is_asked_anew(waiting: Waiting) -> None:
    """The second yes is decided again when it is to happen: by the rules as they are then."""
    world = waiting.world
    await world.decide(FIRST, waiting.approval)
    data = world.store.tenant(person(TENANT, "owner", Role.OWNER))
    await world.policies.save(data, NewPolicies(asking_for(3), "Three from now on.", 0), etag=None)
    await world.decide(SECOND, waiting.approval)
    assert (await waiting.state(), waiting.refunds()) == (RunState.PARKED, 0)
    anew = await world.waiting(ASKER, waiting.run)
    assert anew
    assert anew != waiting.approval
    for approver in (FIRST, SECOND, THIRD):
        assert waiting.refunds() == 0
        await world.decide(approver, anew)
    assert waiting.refunds() == 1


async def test_of_two_processes_in_which_people_decide_at_once_each_counts_once(waiting: Waiting) -> None:
    world = waiting.world
    async with open_world(world.store, world.office, environment=asking_for(2), name="orchestration-2") as other:
        other.model.script = world.model.script
        people = [(world, FIRST), (other, FIRST), (world, SECOND), (other, ASKER), (other, THIRD), (other, SECOND)]

        async def attempt(process: World, who: object) -> bool:
            try:
                await decide(process.services, who, waiting.approval, verdict())  # pyright: ignore[reportArgumentType] - a context
            except MandateError:
                return False
            return True

        done = await asyncio.gather(*(attempt(process, who) for process, who in people))
        assert sum(done) == 2
        record = await waiting.record()
        assert record.status == "approved"
        assert len({by.id for by in record.yes}) == len(record.yes) == 2
        assert ASKER.principal.actor not in record.yes
        for process in (world, other):
            with suppress(ExceptionGroup):
                async with asyncio.TaskGroup() as group:
                    await process.runs(group).look(ASKER, waiting.run)
    assert waiting.refunds() == 1


async def test_nobody_of_another_organisation_adds_to_it(waiting: Waiting) -> None:
    stranger = person(TenantId(derived_id("ten", "strangers")), "stranger", Role.OWNER)
    await waiting.world.decide(FIRST, waiting.approval)
    with pytest.raises(NotFound):
        await decide(waiting.world.services, stranger, waiting.approval, verdict())
    assert len((await waiting.record()).yes) == 1


async def test_time_runs_out_for_the_second_as_for_the_first(waiting: Waiting) -> None:
    await waiting.world.decide(FIRST, waiting.approval)
    record = await waiting.record()
    data = waiting.world.store.tenant(ASKER)
    found = await data.records.get(ApprovalRecord, record.id)
    assert found
    over = (CLOCK.now() - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    await data.records.put(record.id, record.model_copy(update={"expires_at": over}), etag=found.etag)
    with pytest.raises(Conflict, match="expired"):
        await decide(waiting.world.services, SECOND, waiting.approval, verdict())


def verdict() -> Verdict:
    return Verdict(approve=True, reason=f"Seen {new_id('x')}", nonce=secrets.token_hex(16))
