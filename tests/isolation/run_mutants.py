"""Which mutants live: each in a process of its own, forked from this one, in which all is imported already.

Run as a program it writes the survivors, as JSON, and what was tried to standard error.
"""

import argparse
import importlib
import io
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer

import orjson
import pytest
from mutants import Mutant, mutants
from mutating import apply

TESTS = Path(__file__).parents[1]

PRODUCT = "isolation/test_two_at_once.py"
"""Needs the whole product, and so the emulators."""

VIEWS, CONTROL = "isolation/test_shared_views.py", "isolation/test_shared_control.py"
MATRIX, APART = "isolation/test_store_matrix.py", "contract/test_store_apart.py"
REQUESTS = "isolation/test_cosmos_requests.py"
ONLY_COSMOS = "contract/test_store_cosmos.py::test_"
WITHHELD = f"{ONLY_COSMOS}another_tenants_document_is_withheld_and_called_a_fault"
ERASING = ["isolation/test_erasing_apart.py", "contract/test_governance.py", "contract/test_erasure_bytes.py"]

METERING = "contract/test_marketplace_metering.py"

KILLERS = {
    "core/": [VIEWS],
    "data/cosmos/items": [WITHHELD, REQUESTS],
    "data/cosmos/containers": ["unit/test_cosmos_keys.py"],
    "data/cosmos/": [REQUESTS, APART],
    "data/sqlite/governed": [APART],
    "data/sqlite/platform": [APART],
    "data/sqlite/records": [MATRIX, "contract/test_store_log.py", APART],
    "data/sqlite/": [MATRIX, APART],
    "data/checkpoint": ["contract/test_checkpoints.py"],
    "data/seals": ["contract/test_checkpoints.py"],
    "data/completed": [METERING],
    "data/notary/azure": ["contract/test_store_blobs.py"],
    "data/": [VIEWS, MATRIX],
    "telemetry/": ["unit/test_telemetry.py"],
    "tools/": ["unit/test_tools_executor.py"],
    "web/tokens": ["unit/test_web_tokens.py", "contract/test_identity_console.py"],
    "web/": ["unit/test_web_assertions.py"],
    "control/erasures": ERASING,
    "control/contexts": [CONTROL, *ERASING, "contract/test_checkpoints.py", METERING],
    "control/records": [CONTROL, *ERASING],
    "control/gate": [CONTROL, "contract/test_control_gate.py"],
    "control/features": ["unit/test_change_windows.py"],
    "control/gate_facts": [CONTROL, "contract/test_control_gate.py"],
    "control/marketplace/callers": ["contract/test_marketplace_webhook.py"],
    "control/marketplace/applications": ["contract/test_marketplace_applications.py"],
    "control/marketplace/": [
        METERING,
        "contract/test_marketplace_subscriptions.py",
        "contract/test_marketplace_rules.py",
    ],
    "control/callers": [CONTROL, "contract/test_control_api.py"],
    "control/orders": ["contract/test_marketplace_applications.py"],
    "control/policy.": ["unit/test_policy.py"],
    "control/policy_replay": ["unit/test_policy_replay.py"],
    "control/policy_store": [CONTROL, "contract/test_control_gate.py"],
    "control/switches": ["contract/test_control_gate.py"],
    "control/routes/metering": [METERING],
    "control/routes/health": [METERING],
    "control/staff": ["contract/test_publisher_staff.py"],
    "control/notices": ["contract/test_marketplace_rules.py"],
    "control/routes/": ["contract/test_control_api.py"],
    "control/entitlements": ["contract/test_control_api.py"],
    "control/": [CONTROL],
    "orchestration/archive": ["contract/test_archive.py"],
    "orchestration/exporting": ["contract/test_archive.py"],
    "orchestration/checkpointing": ["contract/test_checkpoints.py"],
    "orchestration/sealing": ["contract/test_checkpoints.py"],
    "orchestration/eras": ERASING,
    "orchestration/store_driver": ["contract/test_carriers.py", PRODUCT],
    "orchestration/live": [VIEWS],
    "orchestration/flags": [VIEWS],
    "orchestration/": [PRODUCT],
    "interaction/console/pages/sign_in": ["isolation/test_sign_in_mixed.py"],
    "interaction/console/rendering": ["contract/test_publisher_staff.py"],
    "interaction/console/navigation": ["contract/test_publisher_staff.py"],
    "interaction/authority": [VIEWS, "contract/test_publisher_staff.py"],
    "interaction/ocsf": ["unit/test_ocsf.py"],
    "interaction/signed_decisions": ["contract/test_signed_decisions.py"],
    "interaction/": [VIEWS],
}
"""The tests that must notice a change, by the beginning of the file's name; the first that fits. Quick ones first."""

PLUGINS = ("pytest_asyncio.plugin", "pytest_timeout")
IMPORTED = ("mandate.compose", "data.sqlite.vectors", "data.cosmos", "emulators.cosmos", "aiohttp", "hypothesis")
AT_ONCE = 2
SECONDS = 150
"""After which nobody waits for a test that hangs: that is noticed too."""

PASSED, BROKEN = 0, 70
NOTICED = (1, 2)
"""A test failed, or could not even be imported."""


@contextmanager
def world(*, needed: bool) -> Generator[None]:
    """Run the emulators for the tests that need them, all of which share these."""
    if not needed:
        yield
        return
    with TemporaryDirectory() as folder:
        file = Path(folder) / "world.json"
        program = [sys.executable, str(Path(__file__).with_name("emulated_world.py")), str(file)]
        paths = os.pathsep.join(str(TESTS / folder) for folder in ("", "contract"))  # as pytest's own `pythonpath`
        with subprocess.Popen(program, stdin=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}) as process:
            while not file.exists():
                assert process.poll() is None, "the emulators did not start"
                time.sleep(0.1)
            os.environ["MANDATE_ISOLATION_WORLD"] = str(file)
            yield
            process.communicate(b"")


def killers(mutant: Mutant) -> list[str]:
    return next(tests for prefix, tests in KILLERS.items() if mutant.file.startswith(prefix))


def adapter(mutant: Mutant) -> str:
    """Return on which store the tests are that must notice it: where they run on both, on SQLite, which is quicker."""
    return "cosmos" if mutant.file.startswith("data/cosmos/") else "not cosmos"


Trial = tuple[str, Sequence[str], Mutant | None]
"""The store and the tests, and what is changed: nothing, to see that they pass."""


def attempt(trial: Trial) -> int:
    """Return how the tests end; for the child process, which ends after it."""
    store, tests, mutant = trial
    output = io.StringIO()
    Timer(SECONDS, os._exit, NOTICED[:1]).start()
    with redirect_stdout(output), redirect_stderr(output):
        if mutant:
            apply(mutant)
        arguments = ["-x", "-q", "--timeout=60", "-k", store]
        plugins = [sys.modules[name] for name in PLUGINS]
        ended = int(pytest.main([*arguments, *(str(TESTS / name) for name in tests)], plugins=plugins))
    if ended not in ((PASSED, *NOTICED) if mutant else (PASSED,)):
        sys.stderr.write(output.getvalue())
    return ended


def forked(trial: Trial) -> int:
    """Return the id of a process that makes the attempt and ends as it does, or as broken."""
    if child := os.fork():
        return child
    ended = BROKEN
    try:
        ended = attempt(trial)
    finally:
        sys.stderr.flush()
        os._exit(ended)


def tried(chosen: Sequence[Mutant]) -> list[Mutant]:
    """Return the survivors, trying a few at once; first that the tests pass without any change."""
    unchanged = {(adapter(mutant), tuple(killers(mutant))) for mutant in chosen}
    waiting: list[Trial] = [(*tests, None) for tests in sorted(unchanged)]
    waiting += [(adapter(mutant), killers(mutant), mutant) for mutant in chosen]
    running, found = dict[int, tuple[Trial, float]](), list[Mutant]()
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            trial = waiting.pop(0)
            running[forked(trial)] = trial, time.monotonic()
        child, status = os.wait()
        (_, tests, mutant), begun = running.pop(child)
        ended = os.waitstatus_to_exitcode(status)
        assert mutant or ended == PASSED, f"{tests} fail without any change"
        if mutant:
            says = "LIVES" if ended == PASSED else "dead" if ended in NOTICED else "BROKE"
            sys.stderr.write(f"{says:6}{time.monotonic() - begun:6.1f} s  {mutant}\n")
            found += [mutant] if ended not in NOTICED else []
    return found


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--sample", type=int, default=0)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--only", default="", help="only those in files, lines or of kinds that contain this")
    asked.add_argument("--world", default="", help="a file of `emulated_world`, if its emulators run already")
    given = asked.parse_args()
    known = mutants()
    asked_for = [mutant for mutant in known if given.only in str(mutant)]
    chosen = random.Random(given.seed).sample(asked_for, given.sample) if given.sample else asked_for
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in (*IMPORTED, *PLUGINS):
        importlib.import_module(name)
    needed = any(PRODUCT in killers(mutant) for mutant in chosen)
    if given.world:
        os.environ["MANDATE_ISOLATION_WORLD"] = given.world
    with world(needed=needed and not given.world):
        lived = tried(chosen)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(mutant.kind for mutant in known).items()))
    sys.stderr.write(f"{len(chosen)} of {len(known)} mutants ({kinds}), {len(lived)} live\n")
    sys.stdout.write(orjson.dumps([str(mutant) for mutant in lived]).decode())


if __name__ == "__main__":
    main()
