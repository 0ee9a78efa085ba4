"""Tools that act on a company's back office: orders, tickets, refunds, e-mail, customers."""

from collections.abc import Mapping, Sequence

from core import Effect, Facts, Integrity, Json
from tools.backoffice.functions import BackOffice
from tools.contract import Tool, Undo, tool

__all__ = ["backoffice_tools"]


def backoffice_tools(base_url: str) -> Sequence[Tool]:
    """Return the tools, acting on the back office at `base_url`."""
    office = BackOffice(base_url)
    return (
        tool(
            effect=Effect.READ,
            reversible=True,
            consequence="Reads order {order_id}.",
            result_integrity=Integrity.TRUSTED,
        )(office.lookup_order),
        tool(
            effect=Effect.WRITE,
            reversible=True,
            consequence="Opens a ticket for colleagues, titled {subject}, saying {body}",
            result_integrity=Integrity.TRUSTED,
            prose=("subject", "body"),
            named=("ticket", "tickets"),
            undone_by=Undo("close_ticket", {"ticket_id": "result.id"}, until="somebody has closed it"),
        )(office.create_ticket),
        tool(
            effect=Effect.WRITE,
            reversible=True,
            consequence="Closes ticket {ticket_id}, so that nobody works on it. A new one can be opened.",
            result_integrity=Integrity.TRUSTED,
            named=("ticket", "tickets"),
        )(office.close_ticket),
        tool(
            effect=Effect.WRITE,
            reversible=False,
            consequence="Pays {amount_cents:money}, in the order's currency, back to the customer of order {order_id}, "
            "for the reason {reason}. The agent cannot undo this.",
            facts=_refund_facts,
            result_integrity=Integrity.TRUSTED,
            prose=("reason",),
            named=("refund", "refunds", "refunded", "pay back", "give back"),
            undone_by=Undo("cancel_refund", {"refund_id": "result.id"}, until="it is paid out"),
        )(office.issue_refund),
        tool(
            effect=Effect.WRITE,
            reversible=False,
            consequence="Takes refund {refund_id} back before it is paid out: the customer does not get the money.",
            result_integrity=Integrity.TRUSTED,
            named=("refund", "refunds"),
        )(office.cancel_refund),
        tool(
            effect=Effect.EXTERNAL,
            reversible=False,
            consequence="Sends an e-mail to {to} with the subject {subject}, saying {body}. It cannot be called back.",
            result_integrity=Integrity.TRUSTED,
            named=("e-mail", "email", "mail", "write to", "send"),
        )(office.send_email),
        tool(
            effect=Effect.IRREVERSIBLE,
            reversible=False,
            consequence="Deletes customer {customer_id} and everything kept about them. Nobody can undo this.",
            result_integrity=Integrity.TRUSTED,
        )(office.delete_customer),
    )


def _refund_facts(values: Mapping[str, Json]) -> Facts:
    amount = values["amount_cents"]
    assert isinstance(amount, int)
    return {"amount_cents": amount}
