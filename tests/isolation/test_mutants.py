"""Is every place that keeps tenants apart held by a test? Each is taken away in turn, and then a test has to fail.

A few are tried, chosen by `MANDATE_SEED`; all of them with `MANDATE_MUTANTS=0`.
"""

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

import orjson
import pytest
from mutants import mutants
from run_mutants import KILLERS, PRODUCT
from seen_data import Matrix

MUTANTS = int(os.environ.get("MANDATE_MUTANTS", "10"))
SEED = os.environ.get("MANDATE_SEED", "20261125")

pytestmark = pytest.mark.timeout(180 + 20 * (MUTANTS or 300))


def test_every_mutant_has_tests_that_must_notice_it() -> None:
    without = [str(mutant) for mutant in mutants() if not any(mutant.file.startswith(prefix) for prefix in KILLERS)]
    assert without == [], "say in tests/isolation/run_mutants.py which tests must notice these"
    assert PRODUCT in {name for names in KILLERS.values() for name in names}


async def test_no_place_that_keeps_tenants_apart_can_go(shared_world: Path, matrix: Matrix) -> None:
    program = str(Path(__file__).with_name("run_mutants.py"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, program, "--sample", str(MUTANTS), "--seed", SEED, "--world", str(shared_world)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, told = await process.communicate()
    assert process.returncode == 0, told.decode()
    assert orjson.loads(output) == [], told.decode()
    matrix[told.decode().splitlines()[-1]] = Counter(line.split()[-1] for line in told.decode().splitlines()[:-1])
