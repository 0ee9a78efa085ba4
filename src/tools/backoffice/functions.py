"""What each tool does, and what the model is told of it: the docstrings and descriptions here are read by models."""

from http import HTTPStatus
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError
from yarl import URL

from core import Json
from core.errors import Unavailable
from tools.backoffice.answers import (
    CancelledRefund,
    ClosedTicket,
    DeletedCustomer,
    Order,
    Problem,
    RefundReceipt,
    SentEmail,
    Ticket,
)
from tools.contract import Refusal, ToolCall
from tools.egress import EgressResponse, Method

R = TypeVar("R", bound=BaseModel)

_REFERENCE = r"^[A-Z]{1,5}-?[0-9]{2,10}(-[0-9]{2,10})?$"

OrderId = Annotated[
    str,
    Field(
        pattern=_REFERENCE, description="The order number as printed on the order, such as A-20398 or QMI-2026-0371."
    ),
]
CustomerId = Annotated[
    str, Field(pattern=_REFERENCE, description="The customer number, such as C-1007. It is part of every order.")
]
TicketId = Annotated[
    str, Field(pattern=r"^ticket-[0-9]{1,10}$", description="The ticket number, as it was given when it was opened.")
]
RefundId = Annotated[
    str, Field(pattern=r"^refund-[0-9]{1,10}$", description="The refund's number, as its receipt has it.")
]
Subject = Annotated[str, Field(min_length=1, max_length=200, description="One line that says what it is about.")]

_REFUSALS = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.GONE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
"""Answers that say nothing was done. Any other, a 500 or a 408 say, leaves that open."""


class BackOffice:
    """The functions behind the tools; `base_url` is theirs alone."""

    def __init__(self, base_url: str) -> None:
        self._base = URL(base_url)

    async def lookup_order(self, call: ToolCall, order_id: OrderId) -> Order | Refusal:
        """Look up one order of the company: its status, date, customer number, currency, total and items with prices.

        Use it before you say anything about an order, and before you propose a refund, since the amounts are here.
        All amounts are in cents. Changes nothing.
        """
        return await self._ask(call, "GET", ("orders", order_id), Order)

    async def create_ticket(
        self,
        call: ToolCall,
        subject: Subject,
        body: Annotated[
            str,
            Field(min_length=1, max_length=4000, description="What happened, what was tried, and what is asked for."),
        ],
        order_id: Annotated[
            str | None, Field(pattern=_REFERENCE, description="The order number that it is about, if there is one.")
        ] = None,
        customer_id: Annotated[
            str | None, Field(pattern=_REFERENCE, description="The customer number that it is about, if known.")
        ] = None,
    ) -> Ticket | Refusal:
        """Open a ticket so that a colleague takes care of something that you cannot settle in this conversation.

        Returns the ticket number.
        """
        body_json: dict[str, Json] = {"subject": subject, "body": body}
        if order_id is not None:
            body_json["order"] = order_id
        if customer_id is not None:
            body_json["customer"] = customer_id
        return await self._ask(call, "POST", ("tickets",), Ticket, body_json)

    async def close_ticket(self, call: ToolCall, ticket_id: TicketId) -> ClosedTicket | Refusal:
        """Close a ticket that was opened by mistake, so that nobody works on it."""
        return await self._ask(call, "POST", ("tickets", ticket_id, "closure"), ClosedTicket)

    async def cancel_refund(self, call: ToolCall, refund_id: RefundId) -> CancelledRefund | Refusal:
        """Take back a refund that is not paid out yet. Once it is paid out, the back office refuses this."""
        return await self._ask(call, "POST", ("refunds", refund_id, "cancellation"), CancelledRefund)

    async def issue_refund(
        self,
        call: ToolCall,
        order_id: OrderId,
        amount_cents: Annotated[
            int,
            Field(
                gt=0, le=100_000_000, description="Amount to pay back in cents of the order's currency: 12.50 is 1250."
            ),
        ],
        reason: Annotated[
            str, Field(min_length=1, max_length=500, description="Why, in one sentence, for the company's books.")
        ],
    ) -> RefundReceipt | Refusal:
        """Pay money back to the customer of an order. It cannot be undone; a colleague may have to approve it first."""
        body: dict[str, Json] = {"order": order_id, "amount_cents": amount_cents, "reason": reason}
        return await self._ask(call, "POST", ("refunds",), RefundReceipt, body)

    async def send_email(
        self,
        call: ToolCall,
        to: Annotated[
            str,
            Field(
                pattern=r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+$",
                max_length=254,
                description="One e-mail address.",
            ),
        ],
        subject: Subject,
        body: Annotated[str, Field(min_length=1, max_length=8000, description="The message, in plain text.")],
    ) -> SentEmail | Refusal:
        """Send an e-mail to one address in the company's name. It cannot be called back."""
        return await self._ask(call, "POST", ("emails",), SentEmail, {"to": to, "subject": subject, "body": body})

    async def delete_customer(self, call: ToolCall, customer_id: CustomerId) -> DeletedCustomer | Refusal:
        """Delete a customer and everything the company keeps about them, for good. Nobody can undo it.

        Only on the customer's own request to be forgotten.
        """
        return await self._ask(call, "DELETE", ("customers", customer_id), DeletedCustomer)

    async def _ask(
        self, call: ToolCall, method: Method, path: tuple[str, ...], answer: type[R], body: Json = None
    ) -> R | Refusal:
        response = await call.http.request(method, str(self._base.joinpath(*path)), body=body)
        if response.status in _REFUSALS:
            return Refusal(code=f"backoffice.{response.status}", detail=_why(response))
        if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            raise Unavailable("The back office could not say what became of the request.", code="backoffice.failing")
        try:
            return answer.model_validate_json(response.body or b"{}")
        except ValidationError:
            raise Unavailable("The back office answered in an unknown form.", code="backoffice.malformed") from None


def _why(response: EgressResponse) -> str:
    try:
        return Problem.model_validate_json(response.body).detail[:500]
    except ValidationError:
        return "The back office refused this."
