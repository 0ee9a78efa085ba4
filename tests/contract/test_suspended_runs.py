"""A subscription that is suspended while an agent works: it is refused its next step, whatever the model wants."""

from dataclasses import replace
from pathlib import Path

from agent_world import open_office, open_world, person
from control import Capability
from core import ActionKind, Lane, TenantId, derived_id
from core.bodies import DecisionMade, ToolFinished
from core.parts import RunState
from data import Store, read_run
from emulators.backoffice import BackofficeSeed
from entitled import ENTITLED
from models import ChatRequest, Completion
from scripted_calls import follow

TENANT = TenantId(derived_id("ten", "suspended in the middle"))
ASKER = person(TENANT, "asker")
LOOK_UP = ["[[lookup_order order_id=AB-100]]"]


async def test_a_run_under_way_makes_no_further_call_once_its_tenant_is_suspended(store: Store, tmp_path: Path) -> None:
    suspended = set[TenantId]()

    def script(request: ChatRequest) -> Completion:
        suspended.add(TENANT)  # while the model thinks
        return follow(LOOK_UP, request)

    seeds: dict[str, BackofficeSeed] = {TENANT: BackofficeSeed(customers=[], orders=[], tickets=[])}
    async with (
        open_office(tmp_path / "office", seeds) as office,
        open_world(store, office, not_entitled=suspended) as world,
    ):
        world.model.script = script
        run = await world.ask(ASKER, "Where is AB-100?")
        bodies = [stored.event.body for stored in await read_run(store.tenant(ASKER), run)]
        decisions = [body for body in bodies if isinstance(body, DecisionMade)]
        assert decisions[0].kind is ActionKind.CALL_MODEL
        assert decisions[0].decision.lane is Lane.AUTOMATIC
        assert all(made.decision.lane is Lane.NEVER for made in decisions[1:])
        assert len(decisions) > 1
        assert any("not-entitled" in policy for policy in decisions[1].decision.policies)
        assert not [body for body in bodies if isinstance(body, ToolFinished)]
        assert (await world.progress(ASKER, run)).state is RunState.REFUSED


async def test_a_run_under_way_loses_what_its_plan_no_longer_includes(store: Store, tmp_path: Path) -> None:
    bought = [ENTITLED]

    def script(request: ChatRequest) -> Completion:
        bought.append(replace(ENTITLED, plan="reader", features=frozenset({Capability.MODELS})))
        return follow(LOOK_UP, request)

    seeds: dict[str, BackofficeSeed] = {TENANT: BackofficeSeed(customers=[], orders=[], tickets=[])}
    async with (
        open_office(tmp_path / "office", seeds) as office,
        open_world(store, office, entitlement=lambda: bought[-1]) as world,
    ):
        world.model.script = script
        run = await world.ask(ASKER, "Where is AB-100?")
        bodies = [stored.event.body for stored in await read_run(store.tenant(ASKER), run)]
        decisions = [body for body in bodies if isinstance(body, DecisionMade)]
        refused = decisions[1].decision
        assert (decisions[1].kind, refused.lane, refused.facts["plan"]) == (ActionKind.CALL_TOOL, Lane.NEVER, "reader")
        assert any("not-entitled-to-a-tool" in policy for policy in refused.policies)
        assert (await world.progress(ASKER, run)).state is RunState.COMPLETED, "models are still included"
        bought.append(replace(ENTITLED, models=frozenset({"chat-small"})))
        again = await world.progress(ASKER, await world.ask(ASKER, "Where is AB-100?"))
        assert again.ended
        assert (again.state, again.ended.code) == (RunState.REFUSED, "refused.not_entitled")


async def test_a_tenant_that_is_not_active_has_no_run_that_calls_a_model(store: Store, tmp_path: Path) -> None:
    seeds: dict[str, BackofficeSeed] = {TENANT: BackofficeSeed(customers=[], orders=[], tickets=[])}
    async with (
        open_office(tmp_path / "office", seeds) as office,
        open_world(store, office, not_entitled={TENANT}) as world,
    ):
        run = await world.ask(ASKER, "Where is AB-100?")
        assert (await world.progress(ASKER, run)).state is RunState.REFUSED
