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
from collections.abc import Generator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from mutants import Mutant, apply, mutants

TESTS = Path(__file__).parents[1]

PRODUCT = "isolation/test_two_at_once.py"
"""Needs the whole product, and so the emulators."""

KILLERS = {
    "core/": ["isolation/test_shared_views.py"],
    "data/sqlite/": ["isolation/test_store_matrix.py"],
    "data/": ["isolation/test_shared_views.py", "isolation/test_store_matrix.py"],
    "telemetry/": ["unit/test_telemetry.py"],
    "tools/": ["unit/test_tools_executor.py"],
    "web/tokens": ["unit/test_web_tokens.py", "contract/test_identity_console.py"],
    "web/": ["unit/test_web_assertions.py"],
    "control/gate": ["isolation/test_shared_control.py", "contract/test_control_gate.py"],
    "control/policy.": ["unit/test_policy.py"],
    "control/routes/": ["contract/test_control_api.py"],
    "control/": ["isolation/test_shared_control.py"],
    "orchestration/live": ["isolation/test_shared_views.py"],
    "orchestration/flags": ["isolation/test_shared_views.py"],
    "orchestration/": [PRODUCT],
    "interaction/console/pages/sign_in": ["isolation/test_sign_in_mixed.py"],
    "interaction/": ["isolation/test_shared_views.py"],
}
"""The tests that must notice a change, by the beginning of the file's name; the first that fits."""

PLUGINS = ("pytest_asyncio.plugin", "pytest_timeout")
AT_ONCE = 2
SECONDS = 60


@contextmanager
def world(*, needed: bool) -> Generator[None]:
    """Run the emulators for the tests that need them, all of which share these."""
    if not needed:
        yield
        return
    with TemporaryDirectory() as folder:
        file = Path(folder) / "world.json"
        program = [sys.executable, str(Path(__file__).with_name("emulated_world.py")), str(file)]
        with subprocess.Popen(program, stdin=subprocess.PIPE) as process:
            while not file.exists():
                assert process.poll() is None, "the emulators did not start"
                time.sleep(0.1)
            os.environ["MANDATE_ISOLATION_WORLD"] = str(file)
            yield
            process.communicate(b"")


def killers(mutant: Mutant) -> list[str]:
    return next(tests for prefix, tests in KILLERS.items() if mutant.file.startswith(prefix))


def lives(mutant: Mutant | None, tests: Sequence[str]) -> bool:
    """Return whether all tests pass in spite of the mutant; for the child process, which ends after it."""
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        if mutant:
            apply(mutant)
        arguments = ["-x", "-q", "--timeout=30", "-p", "no:cacheprovider", *(str(TESTS / name) for name in tests)]
        passed = pytest.main(arguments, plugins=[sys.modules[name] for name in PLUGINS]) == 0
    if mutant is None and not passed:
        sys.stderr.write(output.getvalue())
    return passed


def survivors(chosen: Sequence[Mutant]) -> list[Mutant]:
    """Return those that live, trying a few at once."""
    waiting, running, found = list(chosen), dict[int, tuple[Mutant, float]](), list[Mutant]()
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            mutant = waiting.pop(0)
            if (child := os.fork()) == 0:
                os._exit(1 if lives(mutant, killers(mutant)) else 0)
            running[child] = mutant, time.monotonic()
        child, status = os.wait()
        mutant, begun = running.pop(child)
        lived = status != 0
        sys.stderr.write(f"{'LIVES' if lived else 'dead':6}{time.monotonic() - begun:6.1f} s  {mutant}\n")
        found += [mutant] if lived else []
    return found


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--sample", type=int, default=0)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--only", default="", help="only those in files, lines or of kinds that contain this")
    asked.add_argument("--world", default="", help="a file of `emulated_world`, if its emulators run already")
    given = asked.parse_args()
    known = [mutant for mutant in mutants() if given.only in str(mutant)]
    chosen = random.Random(given.seed).sample(known, given.sample) if given.sample else known
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in ("mandate.compose", "data.sqlite.vectors", *PLUGINS, "aiohttp", "hypothesis"):
        importlib.import_module(name)
    needed = any(PRODUCT in killers(mutant) for mutant in chosen)
    if given.world:
        os.environ["MANDATE_ISOLATION_WORLD"] = given.world
    with world(needed=needed and not given.world):
        lived = tried(chosen)
    sys.stderr.write(f"{len(chosen)} of {len(known)} mutants, {len(lived)} live\n")
    sys.stdout.write(orjson.dumps([str(mutant) for mutant in lived]).decode())


def tried(chosen: Sequence[Mutant]) -> list[Mutant]:
    """Return the survivors, once it is shown that the tests pass without any change."""
    for tests in {tuple(killers(mutant)) for mutant in chosen}:
        if (child := os.fork()) == 0:
            os._exit(0 if lives(None, tests) else 1)
        assert os.waitpid(child, 0)[1] == 0, f"{tests} fail without any change"
    return survivors(chosen)


if __name__ == "__main__":
    main()
