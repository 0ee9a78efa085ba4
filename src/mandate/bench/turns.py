"""What is asked: turns of the demo companies' people over the public API, and the same model call without Mandate."""

import itertools
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
import orjson
import yaml

from control import AgentManifest
from core import Role
from mandate.bench.load import Request
from mandate.client import Client
from mandate.local.world import Company
from tools import Registry

_LAST_EVENT = re.compile(rb"event: run_ended\n(?:.*\n)*?data: (.*)\n")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody signed in, with what they may ask about."""

    headers: Mapping[str, str]
    orders: tuple[str, ...]
    questions: tuple[str, ...]


async def sign_in(session: aiohttp.ClientSession, url: str, companies: Sequence[Company]) -> list[Person]:
    """Sign in everybody who may ask an agent: one person alone would be held to their rate."""
    people: list[Person] = []
    for company in companies:
        orders = tuple(order["id"] for order in _yaml(company, "backoffice.yaml")["orders"])
        questions = tuple(item["question"] for item in _yaml(company, "questions.yaml"))
        for user in company.about.users:
            if Role.USER in user.roles:
                client = await Client.signed_in(session, url, company.about.entra_tenant_id, user.username)
                people.append(Person({"Authorization": f"Bearer {client.token}"}, orders, questions))
    return people
