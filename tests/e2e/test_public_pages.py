"""A page that a person names is read at once in the running product, and what is beside it is not."""

from typing import Literal

import pytest
from commands import SignIn
from pydantic import BaseModel, ConfigDict

from core import Origin
from mandate.local.stack import Stack
from mandate.turns import ended


class Run(BaseModel):
    model_config = ConfigDict(extra="ignore")

    run: str


class Decided(BaseModel):
    model_config = ConfigDict(extra="ignore")

    target: str
    lane: str
    outcome: Literal["done", "failed", "unknown", "none"]
    argument_origins: dict[str, Origin]


class Explained(BaseModel):
    model_config = ConfigDict(extra="ignore")

    decisions: list[Decided]


@pytest.mark.parametrize(("path", "outcome"), [("/pages/alderfinch/status", "done"), ("/healthz", "failed")])
async def test_a_page_that_somebody_names_is_read_and_nothing_beside_it(
    stack: Stack, client: SignIn, path: str, outcome: str
) -> None:
    person = await client("elif@alderfinch.example")
    said = {"agent": "support", "message": f"Read {stack.address('backoffice')}{path}", "use_knowledge": False}
    run = Run.model_validate(await person.post("/v1/runs", said)).run
    await ended(person, run, 60)
    told = Explained.model_validate(await person.get(f"/v1/runs/{run}/explanation"))
    (read,) = [decided for decided in told.decisions if decided.target == "read_page"]
    assert (read.lane, read.outcome) == ("automatic", outcome)
    assert read.argument_origins == {"url": Origin.OWN_WORDS}
