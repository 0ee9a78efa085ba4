"""What is sold, and who can buy it: `environments/local/marketplace.yaml`."""

import hashlib
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

TermUnit = Literal["P1M", "P1Y", "P2Y", "P3Y"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Seats(_Strict):
    least: int
    most: int


class Plan(_Strict):
    """A plan; see the file."""

    id: str
    name: str
    term: TermUnit
    private: bool = False
    auto_activated: bool = False
    seats: Seats | None = None
    included: dict[str, int] = {}


class Buyer(_Strict):
    """Somebody who can buy.

    Attributes:
        by_puid: the marketplace names them without an object id and an e-mail address.
    """

    username: str
    name: str
    object_id: str
    by_puid: bool = False

    @property
    def puid(self) -> str:
        return hashlib.sha256(self.object_id.encode()).hexdigest()[:16].upper()


class Staff(_Strict):
    """Somebody of the publisher's own, with the roles that they have in the app."""

    username: str
    name: str
    object_id: str
    roles: tuple[str, ...]


class Organisation(_Strict):
    tid: str
    name: str
    users: tuple[Buyer, ...]


class Catalogue(_Strict):
    """The publisher's offer and the people who can buy it."""

    publisher: str
    offer: str
    dimensions: tuple[str, ...]
    plans: tuple[Plan, ...]
    buyers: tuple[Organisation, ...]
    publishers: tuple[Staff, ...] = ()

    def plan(self, id_: str) -> Plan | None:
        return next((plan for plan in self.plans if plan.id == id_), None)

    def buyer(self, username: str) -> tuple[Organisation, Buyer] | None:
        people = ((org, user) for org in self.buyers for user in org.users)
        return next(((org, user) for org, user in people if user.username == username), None)


def load_catalogue(path: Path) -> Catalogue:
    return Catalogue.model_validate(yaml.safe_load(path.read_text("utf-8")))
