"""The settings that change while the product runs: taken if they are good, left as they were if not, and told."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree
from typing import Any, cast

import pytest
import yaml

from control import CONFIGURATION_KEY, AccessLog, Amount, ConfigurationRecord, contexts, log_run
from core import PUBLISHER, SystemClock, TenantContext
from core.bodies import RecordChanged
from core.errors import Defect, RateLimited, Unavailable
from core.parts import RunKind
from data import Store, read_run
from data.sqlite import open_store
from interaction import PlanRates, RateLimits
from mandate.configuration.files import Files
from mandate.configuration.live import REJECTED, UNREACHABLE, Configuration, Current
from mandate.configuration.tree import Tree, grown, leaves, merged, parse
from mandate.settings import ROOT

EARLY: dict[str, Any] = {
    "id": "newer-model",
    "description": "A newer model answers.",
    "enabled": True,
    "conditions": {
        "requirement_type": "All",
        "client_filters": [
            {"name": "Microsoft.Targeting", "parameters": {"Audience": {"Groups": [{"Name": "early"}]}}},
            {"name": "Mandate.ChangeWindow", "parameters": {"From": {"early": "2026-12-01T00:00:00Z"}}},
        ],
    },
}


@dataclass
class Broken:
    """A source that gives what it is told to, or raises it."""

    gives: Tree | Exception
    every: float = 1.0

    async def read(self) -> Tree:
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives

    async def aclose(self) -> None: ...


@dataclass
class World:
    folder: Path
    store: Store
    access: AccessLog = field(init=False)

    def __post_init__(self) -> None:
        self.access = AccessLog(self.store, SystemClock(), code="1")

    @property
    def mine(self) -> TenantContext:
        return contexts.publisher("test")

    def configuration(self, source: Any = None) -> Configuration:
        files = Files(self.folder, "local")
        records = self.store.tenant(self.mine).records
        return Configuration(source or files, files.read_now(), lambda: records, self.access, "local")

    def write(self, name: str, **values: Any) -> None:
        path = self.folder / name
        path.write_text(yaml.safe_dump({**(yaml.safe_load(path.read_text()) or {}), **values}))

    async def changes(self) -> list[str]:
        """Return the versions that are on record, in order."""
        day = SystemClock().now().strftime("%Y-%m-%d")
        stored = await read_run(self.store.tenant(self.mine), log_run(PUBLISHER, RunKind.ADMIN, day))
        bodies = [one.event.body for one in stored]
        return [one.version for one in bodies if isinstance(one, RecordChanged) and one.kind == "configuration"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    copytree(ROOT / "environments", tmp_path / "environments")
    async with open_store(tmp_path / "store.db") as store:
        yield World(tmp_path / "environments", store)


async def test_a_change_in_a_file_holds_without_a_restart_and_is_on_record(world: World) -> None:
    configuration = world.configuration()
    await configuration.start()
    assert configuration.live.change_windows.most_wait_days == 30
    world.write("local/settings.yaml", change_windows={"most_wait_days": 7})

    assert await configuration.look()

    assert configuration.live.change_windows.most_wait_days == 7
    assert configuration.live.change_windows.longest_freeze_days == 28, "what is not written there stays"
    assert (await world.changes())[-1] == configuration.version
    assert len(await world.changes()) == 2, "the first values are on record too"
    assert not await _grew(world, configuration), "looking again changes nothing"


async def _grew(world: World, configuration: Configuration) -> bool:
    before = await world.changes()
    await configuration.look()
    return await world.changes() != before


async def test_a_bad_value_leaves_the_last_good_ones_and_says_so_until_it_is_mended(world: World) -> None:
    configuration = world.configuration()
    await configuration.start()
    good = configuration.version
    world.write("local/settings.yaml", change_windows={"most_wait_days": "soon"})

    assert not await configuration.look()

    assert (configuration.version, configuration.live.change_windows.most_wait_days) == (good, 30)
    assert configuration.notes() == (REJECTED,)
    assert (await world.changes())[-1] == "rejected"
    assert not await _grew(world, configuration), "it is told once"
    world.write("local/settings.yaml", change_windows={"most_wait_days": 8})
    assert await configuration.look()
    assert configuration.notes() == ()


async def test_a_process_that_starts_while_a_value_is_bad_has_what_the_others_have(world: World) -> None:
    configuration = world.configuration()
    world.write("local/settings.yaml", change_windows={"most_wait_days": 5})
    await configuration.start()
    late = world.configuration(Broken(Unavailable("Gone.", code="dependency.configuration")))
    world.write("local/settings.yaml", change_windows={})
    await late.start()
    assert late.live.change_windows.most_wait_days == 5
    assert late.notes() == (UNREACHABLE,)
    kept = await world.store.tenant(world.mine).records.get(ConfigurationRecord, CONFIGURATION_KEY)
    assert kept is not None
    assert kept.value.version == configuration.version


async def test_limits_follow_the_configuration(world: World) -> None:
    configuration = world.configuration()
    await configuration.start()
    rates = Current(
        lambda: {name: PlanRates(one.per_person, one.per_tenant) for name, one in configuration.live.plans.items()}
    )
    offered = Current(lambda: {name: one.offered for name, one in configuration.live.plans.items()})
    limits, context = RateLimits(rates), _member()
    limits.take(context)
    team = {"per_person": {"per_second": 0.001, "burst": 1}, "budget": {"micros": 5, "tokens": 5}}
    world.write("local/settings.yaml", plans={"team": team})
    await configuration.look()
    limits.take(context)
    with pytest.raises(RateLimited):
        limits.take(context)
    assert offered["team"].budget == Amount(micros=5, tokens=5)


def _member() -> TenantContext:
    return cast("TenantContext", _Context())


class _Context:
    tenant, plan = "ten_1", "team"

    class principal:  # noqa: N801 - an attribute of a context
        id = "prn_1"


def test_every_environment_has_a_tree_that_is_good() -> None:
    for name in ("local", "dev", "staging", "prod"):
        assert parse(Files(ROOT / "environments", name).read_now()).plans


def _with(**flag: Any) -> Tree:
    return merged(Files(ROOT / "environments", "dev").read_now(), {"flags": [{**EARLY, **flag}]})


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ({"id": "No Slug"}, "flags.0.id"),
        ({"variants": []}, "variants"),
        ({"conditions": {"client_filters": EARLY["conditions"]["client_filters"]}}, "requirement_type"),
        ({"conditions": {"requirement_type": "All", "client_filters": [{"name": "Microsoft.TimeWindow"}]}}, "flags.0"),
    ],
)
def test_a_flag_that_would_mean_something_else_to_us_than_to_the_portal_is_refused(
    flag: dict[str, Any], says: str
) -> None:
    with pytest.raises(Defect, match=says):
        parse(_with(**flag))


def test_a_flag_for_a_ring_that_nobody_is_in_is_refused() -> None:
    parse(_with())
    with pytest.raises(Defect, match="early"):
        parse(merged(_with(), {"rings": ["general"]}))


def test_a_tree_is_the_same_after_it_was_taken_apart_for_a_store() -> None:
    tree = {key: value for key, value in Files(ROOT / "environments", "prod").read_now().items() if key != "flags"}
    assert grown(leaves(tree)) == tree
    with pytest.raises(Defect):
        grown({"plans": 1, "plans:team": 2})
