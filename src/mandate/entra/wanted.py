"""What an environment needs in Entra, in the words of Microsoft Graph v1.0."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, JsonValue

from control import STAFF_ROLES
from core import Role
from mandate.services import Services

Json = Mapping[str, JsonValue]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "mandate:entra")


@dataclass(frozen=True, slots=True)
class Place:
    """Of what the registrations are: the environment, its stamp, the publisher's tenant, the address for people."""

    environment: str
    stamp: str
    tid: str
    address: str
    login: str = "https://login.microsoftonline.com"


class Registration(BaseModel):
    """One entry of `infra/entra/registrations.yaml`; the fields are explained there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    service: str = ""
    identifier: str = ""
    roles: tuple[str, ...] = ()
    anybody: bool = False
    people: bool = False
    claims: tuple[str, ...] = ()
    scopes: Mapping[str, str] = {}
    redirects: tuple[str, ...] = ()
    trusts: str = ""
    wants: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One registration as it shall be.

    Attributes:
        unique: its name in Graph, which is never another's: what is made here is found by it, and nothing else touched.
        application: its properties, without those that lead to other registrations.
        trusts: the identity that may prove itself as it; empty if none may.
        assigned: which identities have which of its app roles.
        wants: scopes of other registrations, by their names here.
    """

    unique: str
    application: Json
    trusts: str
    assigned: tuple[tuple[str, str], ...]
    wants: Mapping[str, tuple[str, ...]]


def wanted_of(root: Path, place: Place) -> dict[str, Wanted]:
    """Return the registrations of an environment, by their names in the file; each after those that it wants."""
    raw = yaml.safe_load((root / "infra" / "entra" / "registrations.yaml").read_text("utf-8"))
    services = Services.load(root / "environments")
    given = {name: Registration.model_validate(one) for name, one in raw["registrations"].items()}
    return {name: _wanted(name, one, services, place) for name, one in given.items()}


def id_of(registration: str, kind: str, name: str) -> str:
    """Return the id of a role or scope: the same every time, so that making it again changes nothing."""
    return str(uuid.uuid5(_NAMESPACE, f"{registration}/{kind}/{name}"))


def _wanted(name: str, one: Registration, services: Services, place: Place) -> Wanted:
    service = next((found for key, found in services.services.items() if key == one.service), None)
    assigned = tuple(sorted(service.accepts.items())) if service else _holders(one.roles, services)
    identifier = service.audience if service else one.identifier
    roles = sorted({role for _, role in assigned} | {*one.roles})
    application: dict[str, JsonValue] = {
        "displayName": one.title if place.environment == "prod" else f"{one.title} ({place.environment})",
        "signInAudience": "AzureADandPersonalMicrosoftAccount" if one.anybody else "AzureADMyOrg",
        "identifierUris": [identifier] if identifier else [],
        "appRoles": [_role(name, role, "Application") for role in roles] + _of_people(name, one),
        "api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": _scopes(name, one)},
        "optionalClaims": {"accessToken": [{"name": claim} for claim in one.claims]},
        "groupMembershipClaims": "SecurityGroup" if "groups" in one.claims else None,
        "web": {"redirectUris": [f"{place.address}{path}" for path in one.redirects]},
    }
    return Wanted(f"mandate-{place.environment}-{name}", application, one.trusts, assigned, one.wants)


def _holders(roles: tuple[str, ...], services: Services) -> tuple[tuple[str, str], ...]:
    """Return which of our identities has which role on what is none of our services."""
    return tuple(
        (service.identity, role) for role in roles for service in services.services.values() if role in service.roles
    )


def _of_people(name: str, one: Registration) -> list[JsonValue]:
    roles = [*(role.value for role in Role), *STAFF_ROLES] if one.people else []
    return [_role(name, role, "User") for role in roles]


def _role(registration: str, name: str, member: str) -> JsonValue:
    return {
        "id": id_of(registration, "role", name),
        "value": name,
        "displayName": name,
        "description": name,
        "allowedMemberTypes": [member],
        "isEnabled": True,
    }


def _scopes(registration: str, one: Registration) -> list[JsonValue]:
    return [
        {
            "id": id_of(registration, "scope", name),
            "value": name,
            "type": "User",
            "isEnabled": True,
            "adminConsentDisplayName": text,
            "adminConsentDescription": text,
            "userConsentDisplayName": text,
            "userConsentDescription": text,
        }
        for name, text in one.scopes.items()
    ]
