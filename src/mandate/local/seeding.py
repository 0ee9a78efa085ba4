"""Setting up the demo companies, over the same HTTP APIs that a publisher and a customer's admin use."""

from collections.abc import Callable
from http import HTTPStatus
from typing import cast

import aiohttp
import orjson

from control import MOST_DAYS, load_agents
from core import Json, derived_id
from core.errors import MandateError, Unavailable
from mandate.client import Client
from mandate.local.stack import Stack
from mandate.local.world import Collection, Company, Document
from mandate.services import Services, local_client_id
from mandate.settings import ROOT
from mandate.tenants import Operator, Organisation

Progress = Callable[[str, int, int], None]
"""Told the company's name, how many documents are in, and of how many."""


async def seed(stack: Stack, services: Services, companies: list[Company], progress: Progress) -> None:
    """Onboard each company and bring its documents in. What is there already stays as it is; who was erased stays so.

    Raises:
        Unavailable: the product does not answer, or refuses.
    """
    async with aiohttp.ClientSession() as session:
        for company in companies:
            if await _onboard(session, stack, services, company):
                await _set_up(session, stack, company, progress)


async def operator_token(session: aiohttp.ClientSession, stack: Stack, services: Services) -> str:
    """Return a token of the publisher's operator for the control plane, by the managed-identity protocol."""
    query = {
        "api-version": "2019-08-01",
        "resource": services.services["control"].audience,
        "client_id": local_client_id("operator"),
    }
    headers = {"X-IDENTITY-HEADER": stack.secret}
    async with session.get(f"{stack.address('identity')}/msi/token", params=query, headers=headers) as response:
        if response.status != HTTPStatus.OK:
            raise Unavailable("The local identity provider gives no token for the operator.", code="local.seed")
        return orjson.loads(await response.read())["access_token"]


async def _onboard(session: aiohttp.ClientSession, stack: Stack, services: Services, company: Company) -> bool:
    """Return whether the company is there: one that was erased is not."""
    token = await operator_token(session, stack, services)
    about = company.about
    organisation = Organisation(
        name=about.name,
        tid=about.entra_tenant_id,
        plan=about.plan,
        region=about.region,
        groups={group.object_id: group.id for group in about.groups},
        id=company.tenant,
    )
    return await Operator(session, stack.address("control"), token).take_on(organisation) != "erased"


async def _set_up(session: aiohttp.ClientSession, stack: Stack, company: Company, progress: Progress) -> None:
    about = company.about
    admin = await Client.signed_in(session, stack.url, about.entra_tenant_id, company.admin.username)
    for collection in about.collections:
        await _collection(admin, collection)
    await _policies(admin, company.policies)
    await _agents(admin)
    documents = list(company.documents())
    for number, document in enumerate(documents, start=1):
        await _document(admin, about.slug, document)
        progress(about.name, number, len(documents))


async def _collection(admin: Client, collection: Collection) -> None:
    body: Json = {
        "title": collection.title,
        "purpose": collection.purpose,
        "integrity": collection.integrity,
        "confidentiality": collection.confidentiality,
        "readers": collection.readers,
    }
    answer = await admin.ask("PUT", f"/v1/collections/{collection.id}", body)
    _expect(answer.status, answer.body, HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.PRECONDITION_FAILED)


async def _policies(admin: Client, text: str) -> None:
    answer = await admin.ask("PUT", "/v1/policies", {"text": text, "reason": "Set up with the demo company."})
    _expect(answer.status, answer.body, HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.PRECONDITION_FAILED)


async def _agents(admin: Client) -> None:
    """Have the company's admin answer for each agent that nobody there has decided on yet."""
    for agent in load_agents(ROOT / "agents"):
        entry = await admin.get(f"/v1/agents/{agent}")
        if cast("dict[str, Json]", entry["identity"])["sponsor"] is None:
            answer = await admin.ask("PUT", f"/v1/agents/{agent}/sponsorship", {"days": MOST_DAYS})
            _expect(answer.status, answer.body, HTTPStatus.NO_CONTENT)


async def _document(admin: Client, slug: str, document: Document) -> None:
    body: Json = {"collection": document.collection, "title": document.title, "text": document.text}
    key = derived_id("seed", slug, document.collection, document.name)
    answer = await admin.ask("POST", "/v1/documents", body, Idempotency_Key=key)
    _expect(answer.status, answer.body, HTTPStatus.OK, HTTPStatus.CREATED)


def _expect(status: int, body: Json, *expected: int) -> None:
    if status not in expected:
        raise MandateError(f"Setting up the demo companies failed: {body}", code="local.seed")
