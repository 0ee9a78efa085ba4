"""What a tenant's back office holds at first, and the strict reading of it from YAML."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from core.errors import Unprocessable


def _iso(value: object) -> object:
    """Take a date as YAML reads it, or as text."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        datetime.fromisoformat(value)
    return value


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Name = Annotated[str, Field(min_length=1, max_length=300)]
Email = Annotated[str, Field(pattern=r"^[^@\s]{1,64}@[^@\s]+\.[^@\s.]+$", max_length=254)]
When = Annotated[str, BeforeValidator(_iso)]
"""An ISO 8601 date or time."""


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Customer(_Record):
    id: Id
    name: Name
    email: Email
    since: When


class Item(_Record):
    sku: Id
    name: Name
    quantity: Annotated[int, Field(ge=1)]
    price_cents: Annotated[int, Field(ge=0)]


class Order(_Record):
    id: Id
    customer: Id
    placed: When
    status: Name
    items: Annotated[list[Item], Field(min_length=1)]
    total_cents: Annotated[int, Field(ge=0)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    city: Name


class Ticket(_Record):
    id: Id
    customer: Id | None = None
    order: Id | None = None
    subject: Name
    status: Name
    opened: When


class BackofficeSeed(_Record):
    """The records of one tenant; every id is unique among its kind, every reference leads somewhere."""

    customers: list[Customer]
    orders: list[Order]
    tickets: list[Ticket]

    @model_validator(mode="after")
    def _check_references(self) -> Self:
        customers = _unique("customers", self.customers)
        orders = _unique("orders", self.orders)
        _unique("tickets", self.tickets)
        owners = {record.customer for record in (*self.orders, *self.tickets)} - {None}
        if not owners <= customers or not {ticket.order for ticket in self.tickets} - {None} <= orders:
            raise ValueError("an order or a ticket names a customer or an order that is not there")
        return self


def _unique(kind: str, records: Sequence[Customer | Order | Ticket]) -> set[str]:
    ids = {record.id for record in records}
    if len(ids) != len(records):
        raise ValueError(f"two {kind} have the same id")
    return ids


def load_seed(path: Path) -> BackofficeSeed:
    """Read a `backoffice.yaml`.

    Raises:
        Unprocessable: it is no YAML, has members that are not known, or does not hang together; the message names the
            first place.
    """
    try:
        return BackofficeSeed.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except yaml.YAMLError as error:
        raise Unprocessable(f"{path.name} is not valid YAML.") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise Unprocessable(f"{path.name}: {place} {first['msg']}") from error
