"""The demo is the product's promise: it holds in each form, and says what it could not check."""

import pytest
from commands import mandate

from mandate.local.stack import Stack


@pytest.mark.timeout(430)
@pytest.mark.parametrize(
    "form",
    [(), ("--services",), ("--replicas", "2"), ("--store", "cosmos")],
    ids=["one process", "three processes", "two of each", "on Cosmos DB"],
)
async def test_every_promise_of_the_demo_holds(form: tuple[str, ...]) -> None:
    finished = await mandate("demo", *form, seconds=400)
    assert finished.code == 0, finished.output
    assert "0 FAIL, 0 not run" in finished.output


@pytest.mark.timeout(250)
@pytest.mark.parametrize("form", [(), ("--services",)], ids=["one process", "three processes"])
async def test_a_customer_of_the_marketplace_buys_uses_and_leaves(form: tuple[str, ...]) -> None:
    finished = await mandate("demo", "marketplace", *form, seconds=220)
    assert finished.code == 0, finished.output
    assert "13 ok, 0 FAIL, 0 not run" in finished.output


@pytest.mark.timeout(180)
async def test_the_demo_drives_a_product_that_runs_and_names_what_needs_its_host(stack: Stack) -> None:
    finished = await mandate("demo", "--url", stack.url, seconds=120)
    assert finished.code == 0, finished.output
    left_out = [line for line in finished.output.splitlines() if line.startswith("  not run")]
    for step in ("kill -9", "counted exactly one refund", "delete a customer", "evidence verify"):
        assert any(step in line for line in left_out), finished.output


async def test_the_marketplaces_story_touches_no_product_that_runs(stack: Stack) -> None:
    finished = await mandate("demo", "marketplace", "--url", stack.url, seconds=60)
    assert finished.code == 2
    assert "leave --url out" in " ".join(finished.output.split())


async def test_the_demo_fails_where_promises_are_broken() -> None:
    finished = await mandate("demo", "--url", "http://127.0.0.1:9", seconds=60)
    assert finished.code == 1
    assert "FAIL" in finished.output
