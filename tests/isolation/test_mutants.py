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
from mutants import MARK, SRC, mutants, of_source, predicates
from run_mutants import KILLERS, PRODUCT
from seen_data import Matrix

MUTANTS = int(os.environ.get("MANDATE_MUTANTS", "5"))
SEED = os.environ.get("MANDATE_SEED", "20261125")

pytestmark = pytest.mark.timeout(180 + 20 * (MUTANTS or 300))


def test_every_mutant_has_tests_that_must_notice_it() -> None:
    without = [str(mutant) for mutant in mutants() if not any(mutant.file.startswith(prefix) for prefix in KILLERS)]
    assert without == [], "say in tests/isolation/run_mutants.py which tests must notice these"
    assert PRODUCT in {name for names in KILLERS.values() for name in names}


def test_every_tenant_that_a_statement_asks_for_is_taken_away_once() -> None:
    texts = {path.relative_to(SRC).as_posix(): len(predicates(path.read_text())) for path in SRC.glob("data/**/*.py")}
    texts["data/cosmos/items.py"] -= 1  # looks through statements for it, and is none
    texts["data/sqlite/vectors.py"] -= 1  # changes nothing, as the comment there says
    assert Counter(m.file for m in mutants() if m.kind == "predicate") == +Counter(texts)


def test_each_comment_that_a_mutant_changes_nothing_is_about_one() -> None:
    for path in SRC.rglob("*.py"):
        source = path.read_text()
        for mark in MARK.finditer(source):
            without = f"{source[: mark.start()]}#{source[mark.end() :]}"
            assert len(list(of_source("", without))) > len(list(of_source("", source))), f"{path}: {mark.group()}"


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
