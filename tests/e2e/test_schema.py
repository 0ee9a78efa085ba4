"""The API is what its description says, whatever is sent to it, by members of both companies."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast
from unittest.mock import MagicMock

import aiohttp
import orjson
import pytest
import yaml
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

import control
import interaction
from core import Json
from interaction import InteractionDependencies
from mandate.client import Client
from mandate.local.seeding import operator_token
from mandate.local.stack import Stack, free_port
from mandate.local.world import Company, load_companies
from mandate.people import sign_in
from mandate.services import Services
from mandate.settings import ROOT
from seeded import seeded

HOOKS = Path(__file__).with_name("schema_hooks.py")
EXAMPLES = os.environ.get("MANDATE_SCHEMA_EXAMPLES", "3")
QUICKLY = {"per_second": 1000, "burst": 10_000}

PHASES = ("coverage", "examples,fuzzing,stateful")
"""By company: what they send is the same for both but for the ids, and each knows the other's."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stack]:
    """A product of its own, since the walk leaves a mess; its plans let people ask as fast as they can."""
    root = tmp_path_factory.mktemp("root")
    await asyncio.to_thread(shutil.copytree, ROOT / "environments", root / "environments")
    await asyncio.to_thread(shutil.copytree, ROOT / "agents", root / "agents")
    file = root / "environments" / "plans.yaml"
    plans = yaml.safe_load(file.read_text())
    for plan in plans["plans"].values():
        plan |= {"per_person": QUICKLY, "per_tenant": QUICKLY}
    file.write_text(yaml.safe_dump(plans))
    stack = Stack(tmp_path_factory.mktemp("walked"), free_port(), extra={"MANDATE_ROOT": str(root)})
    async with seeded(stack):
        yield stack


async def test_no_input_breaks_the_public_api(product: Stack) -> None:
    """Schemathesis, all checks and phases, as the owner of a company or the other's, with ids that exist in both."""
    async with aiohttp.ClientSession() as session:
        owners = [await sign_in(session, product.url, company.admin.username) for company in load_companies(ROOT)]
        things = [await made(session, product, company) for company in load_companies(ROOT)]
    api = f"{product.url}/openapi.json"
    walks = [
        walk(api, owner.token, {name: own[name] * 4 + foreign[name] for name in own}, foreign, phases)
        for owner, own, foreign, phases in zip(owners, things, reversed(things), PHASES, strict=True)
    ]
    for code, output in await asyncio.gather(*walks):
        assert code == 0, output


async def test_no_input_breaks_the_publishers_api(product: Stack) -> None:
    async with aiohttp.ClientSession() as session:
        token = await operator_token(session, product, Services.load(ROOT / "environments"))
    known = {"tenant": [company.tenant for company in load_companies(ROOT)]}
    code, output = await walk(f"{product.address('control')}/openapi.json", token, known, {}, ",".join(PHASES))
    assert code == 0, output


async def walk(
    url: str, token: str, known: Mapping[str, Sequence[str]], foreign: Mapping[str, Sequence[str]], phases: str
) -> tuple[int, str]:
    """Let Schemathesis try everything, and return its exit code and its report."""
    others = [name for names in foreign.values() for name in names if "_" in name]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", url, "--header", f"Authorization: Bearer {token}"),
        *("--checks", "all", "--max-examples", EXAMPLES, "--seed", "1", "--continue-on-failure", "--no-color"),
        *("--generation-database", "none", "--warnings", "off", "--request-timeout", "30"),
        *("--phases", phases),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT / "tests",
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": str(HOOKS),
            "KNOWN_IDS": orjson.dumps(known).decode(),
            "FOREIGN_IDS": orjson.dumps(others).decode(),
        },
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def made(session: aiohttp.ClientSession, product: Stack, company: Company) -> dict[str, list[str]]:
    """Make one of everything in a company, and return the ids by the names of the parameters that take them."""
    user = next(user for user in company.about.users if [*user.roles] == ["user"])
    client = await sign_in(session, product.url, user.username)
    order = "A-20398" if company.about.slug == "alderfinch" else "QMI-2026-0371"
    admin = await sign_in(session, product.url, company.admin.username)
    asked = await start(admin, "How long is the warranty?")
    parked = await start(client, f"Please refund 1.00 EUR for order {order} because the box was torn.")
    pending = parked["pending_approval"]
    assert isinstance(pending, dict)
    flagged = await admin.post(f"/v1/runs/{asked['run']}/flags", {"kind": "wrong", "reason": "It is two years."})
    page = (await admin.get("/v1/documents?limit=5"))["items"]
    assert isinstance(page, list)
    responses = [f"resp_{str(run['run']).removeprefix('run_')}" for run in (asked, parked)]
    return {
        "run": [str(asked["run"]), str(parked["run"])],
        "conversation": [str(asked["conversation"]), str(parked["conversation"])],
        "approval": [str(pending["approval"])],
        "flag": [str(flagged["flag"])],
        "replaces": [str(asked["run"])],
        "document": [str(item["document"]) for item in page if isinstance(item, dict)],
        "collection": [collection.id for collection in company.about.collections],
        "agent": ["support"],
        "name": ["support"],
        "model": ["support"],
        "response": responses,
        "previous_response_id": responses,
    }


async def start(client: Client, message: str) -> dict[str, Json]:
    return await client.post("/v1/runs", {"agent": "support", "message": message})


def fake(kind: str) -> FastAPI:
    """Return an app that is never served: only its routes are looked at."""
    nothing = MagicMock(version="1")
    if kind == "interaction":
        return interaction.create_app(cast("InteractionDependencies", nothing))
    return control.create_app(cast("control.ControlServices", nothing))


def served(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield the path and each method of everything that an app answers to, its description aside."""
    for found in iter_route_contexts(app.routes):
        assert found.path, found
        if found.path != app.openapi_url:
            yield from ((found.path, method) for method in found.methods or ("",))


@pytest.mark.parametrize("kind", ["interaction", "control"])
def test_the_documented_routes_are_all_that_there_are(kind: str) -> None:
    app = fake(kind)
    documented = {(path, method.upper()) for path, methods in app.openapi()["paths"].items() for method in methods}
    assert documented == set(served(app))


@pytest.mark.parametrize("kind", ["interaction", "control"])
async def test_the_running_product_documents_the_same(kind: str, product: Stack) -> None:
    url = product.url if kind == "interaction" else product.address("control")
    async with aiohttp.ClientSession() as session, session.get(f"{url}/openapi.json") as answer:
        assert (await answer.json())["paths"].keys() == fake(kind).openapi()["paths"].keys()
