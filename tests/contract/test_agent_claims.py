"""What is claimed of an agent: if a claim lapses or fails, what it is about is off, and everybody is told once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from clocks import MovableClock
from control import (
    AccessLog,
    ActionRequest,
    AgentFacts,
    Checked,
    Claim,
    ClaimState,
    Gate,
    Policies,
    Principals,
    Situation,
    Switches,
    TenantRecord,
    Verdict,
    contexts,
    load_agents,
    log_run,
)
from core import ActionKind, Label, PrincipalId, Role, RunId, TenantContext, TenantId, derived_id, new_id
from core.bodies import RecordChanged, RunOpened
from core.errors import NotFound
from core.parts import RunKind, Versions
from data import RunWriter, Store, read_run
from data.sqlite import open_store
from entitled import ENTITLED
from orchestration import Claims
from tool_calls import trusted_call

SHIPPED = load_agents(Path(__file__).parents[2] / "agents")["support"]
START = datetime(2026, 11, 26, tzinfo=UTC)
RECORD = TenantRecord(id=TenantId(derived_id("ten", "claims")), name="Contoso", plan="team", region="local")
ADMIN = contexts.from_directory(
    RECORD, PrincipalId(new_id("prn")), roles=[Role.ADMIN, Role.USER], groups=[], correlation="c"
)
OPERATOR = contexts.publisher("test")


def claim(name: str, switches_off: str, review_by: date = date(2026, 11, 30)) -> Claim:
    return Claim.model_validate(
        {
            "id": f"support-{name}",
            "claim": "It does what it should.",
            "metric": "Mistakes",
            "unit": "mistakes",
            "at_most": 0,
            "evidence": "tests/contract/test_agent_claims.py",
            "review_by": review_by,
            "switches_off": switches_off,
        }
    )


CLAIMS = (claim("tool", "tool/issue_refund"), claim("search", "search"), claim("whole", "agent"))
LATER = date(2099, 1, 1)


@dataclass
class Company:
    store: Store
    clock: MovableClock
    switches: Switches

    async def decided(self, agent: AgentFacts) -> list[Verdict]:
        """Decide about a model call, a search, a refund and another read, in this order."""
        run = RunWriter(self.store.tenant(ADMIN), RunId(new_id("run")), actor=ADMIN.principal.actor)
        await run.append([RunOpened(kind=RunKind.TURN, versions=Versions(code="1"))])
        policies = Policies(environment="", clock=self.clock)
        gate = Gate(policies=policies, switches=self.switches, environment="local", clock=self.clock)
        situation = Situation(
            label=Label(), budget_left_micros=1000, entitled=ENTITLED, checked=Checked(guards=("local",))
        )
        model = ActionRequest(kind=ActionKind.CALL_MODEL, target="chat", step=1, arguments={}, facts={})
        search = replace(model, kind=ActionKind.RETRIEVE, target="knowledge", facts={"collections": ("policies",)})
        return await gate.authorize(
            run, agent, [model, search, trusted_call("issue_refund"), trusted_call("lookup_order")], situation=situation
        )

    async def stopped(self, *claims: Claim) -> list[bool]:
        verdicts = await self.decided(replace(SHIPPED.facts(RECORD.id), claims=claims))
        return ["claim" in _words(verdict) for verdict in verdicts]

    async def told(self) -> list[tuple[str, str, str]]:
        log = log_run(RECORD.id, RunKind.ADMIN, self.clock.now().strftime("%Y-%m-%d"))
        try:
            bodies = [stored.event.body for stored in await read_run(self.store.tenant(ADMIN), log)]
        except NotFound:
            return []
        return [(body.kind, body.key, body.version) for body in bodies if isinstance(body, RecordChanged)]


def _words(verdict: Verdict) -> tuple[str, ...]:
    found = verdict.decision.facts["switched_off"]
    assert isinstance(found, tuple)
    assert ("claim" in found) is any("claim-lapsed" in rule for rule in verdict.decision.policies)
    return found


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[Company]:
    clock = MovableClock(START)
    async with open_store(tmp_path / "store.db") as store:
        await Principals(store, clock, {"support": SHIPPED}).take_on(ADMIN, "support", days=300)
        switches = Switches(store, clock, agents=["support"], tools=[], claims=[one.switch for one in CLAIMS])
        yield Company(store, clock, switches)


async def test_a_claim_past_its_review_switches_off_what_it_is_about_and_nothing_else(company: Company) -> None:
    whole, rest = CLAIMS[2].model_copy(update={"review_by": LATER}), CLAIMS[:2]
    company.clock.time = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    assert await company.stopped(*rest, whole) == [False, False, False, False], "its last day counts"
    company.clock.time += timedelta(minutes=1)
    assert await company.stopped(*rest, whole) == [False, True, True, False]
    assert await company.stopped(*CLAIMS) == [True, True, True, True]


async def test_a_run_that_needs_what_is_claimed_ends_by_name_and_a_tool_is_refused_in_words(company: Company) -> None:
    company.clock.time += timedelta(days=30)
    model, search, refund, _ = await company.decided(replace(SHIPPED.facts(RECORD.id), claims=CLAIMS))
    assert [getattr(one, "ends", None) for one in (model, search, refund)] == [
        "refused.claim_lapsed",
        "refused.claim_lapsed",
        "",
    ]


async def test_the_publisher_marks_a_claim_as_failed_for_everybody_and_nobody_else_can(company: Company) -> None:
    with pytest.raises(NotFound):
        await company.switches.switch_off(ADMIN, CLAIMS[0].switch, "I think so.")
    await company.switches.switch_off(OPERATOR, CLAIMS[0].switch, "A refund went out twice.")
    assert await company.stopped(*CLAIMS) == [False, False, True, False]
    (told,) = await company.switches.told(company.store.tenant(ADMIN))
    assert (told.name, told.by_publisher, told.reason) == (CLAIMS[0].switch, True, "A refund went out twice.")
    await company.switches.switch_on(OPERATOR, CLAIMS[0].switch)
    assert await company.stopped(*CLAIMS) == [False, False, False, False]


@pytest.mark.parametrize(
    ("threshold", "value", "state"),
    [
        ({"at_most": 3}, 3, ClaimState.HOLDS),
        ({"at_most": 3}, 4, ClaimState.FAILED),
        ({"at_least": 3}, 3, ClaimState.HOLDS),
        ({"at_least": 3}, 2, ClaimState.FAILED),
        ({"at_most": 3}, None, ClaimState.NOT_MEASURED),
    ],
)
def test_what_was_measured_is_compared_with_the_threshold(
    threshold: dict[str, int], value: int | None, state: ClaimState
) -> None:
    raw = CLAIMS[0].model_dump(exclude={"at_most", "at_least"}) | threshold
    raw["measured"] = None if value is None else {"value": value, "day": "2026-11-01"}
    assert Claim.model_validate(raw).state((), START.date()) is state


async def test_each_organisation_is_told_once_when_a_claim_lapses_and_when_it_is_in_force_again(
    company: Company,
) -> None:
    agent = SHIPPED.model_copy(update={"claimed": SHIPPED.claimed.model_copy(update={"claims": CLAIMS[:1]})})
    access = AccessLog(company.store, company.clock, code="1")
    claims = Claims(company.switches, access, {"support": agent}, company.clock)
    platform: TenantContext = contexts.platform(RECORD, "sweeper")
    data = company.store.tenant(platform)
    assert await claims.tell(data) == 0
    company.clock.time += timedelta(days=10)
    assert [await claims.tell(data), await claims.tell(data)] == [1, 0]
    assert await company.told() == [("claim", "support-tool", "lapsed")]
    await company.switches.switch_off(OPERATOR, CLAIMS[0].switch, "It failed as well.")
    await claims.tell(data)
    renewed = agent.claimed.model_copy(update={"claims": (CLAIMS[0].model_copy(update={"review_by": LATER}),)})
    await company.switches.switch_on(OPERATOR, CLAIMS[0].switch)
    newer = agent.model_copy(update={"claimed": renewed})
    await Claims(company.switches, access, {"support": newer}, company.clock).tell(data)
    assert [state for _, _, state in await company.told()] == ["lapsed", "failed", "in_force"]
