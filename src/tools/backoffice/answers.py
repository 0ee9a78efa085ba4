"""What the tools return: chosen fields of what the back office answers, none of them an outsider's free text.

That is what lets the results be labelled trusted: a note or a street that a customer typed would have to stay outside.
"""

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Item(_Answer):
    sku: str
    name: str
    quantity: int
    price_cents: int


class Order(_Answer):
    id: str
    customer: str
    placed: str
    status: str
    currency: str
    total_cents: int
    items: tuple[Item, ...]
    refunded_cents: int = 0


class Ticket(_Answer):
    id: str


class ClosedTicket(_Answer):
    id: str
    status: str


class CancelledRefund(_Answer):
    id: str
    order: str
    amount_cents: int
    status: str


class RefundReceipt(_Answer):
    id: str
    order: str
    amount_cents: int


class SentEmail(_Answer):
    id: str


class DeletedCustomer(_Answer):
    deleted: bool = True


class Problem(BaseModel):
    """The part of an RFC 9457 body that is for people."""

    detail: str
