"""One tenant's records: the seed, and on top of it every write of the journal."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from core.clock import Clock, SystemClock, parse_timestamp, timestamp
from core.errors import Conflict, MandateError, NotFound
from emulators.backoffice.journal import Entry, Journal, Kind
from emulators.backoffice.seed import BackofficeSeed, Customer, Order

Payload: TypeAlias = dict[str, str | int | None]
Answer: TypeAlias = Mapping[str, object]


PAID_OUT_AFTER = timedelta(hours=1)
"""A refund is booked at once, and paid out so much later: until then it can be taken back."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who a write says it comes from."""

    idempotency_key: str | None
    run: str | None


class Ledger:
    """The records of one tenant. Writes come from one thread; reads may come from another."""

    def __init__(self, seed: BackofficeSeed, journal: Journal, clock: Clock | None = None) -> None:
        self._journal = journal
        self._customers = {customer.id: customer for customer in seed.customers}
        self._orders = {order.id: order for order in seed.orders}
        self._refunded: defaultdict[str, int] = defaultdict(int)
        self._gone: set[str] = set()
        self._clock = clock or SystemClock()
        for entry in journal.entries:
            if entry.outcome == "done":
                self._apply(entry)

    @property
    def entries(self) -> list[Entry]:
        return list(self._journal.entries)

    def customer(self, customer: str) -> Customer:
        if customer not in self._customers:
            raise NotFound("There is no customer with this id.")
        return self._customers[customer]

    def order(self, order: str) -> Answer:
        return self._order(order).model_dump() | {"refunded_cents": self._refunded.get(order, 0)}

    def write(self, kind: Kind, payload: Payload, origin: Origin) -> Answer:
        """Check a write, put it on disk, do it, and return what the caller is told. Blocking.

        Raises:
            NotFound: it names a customer, an order, a ticket or a refund that is not there.
            Conflict: the refund is larger than what is left of the order; what is to be taken back was before, or the
                refund is paid out.
        """
        try:
            self._check(kind, payload)
        except MandateError:
            self._record(kind, payload, origin, done=False)
            raise
        entry = self._record(kind, payload, origin, done=True)
        self._apply(entry)
        return self._told(entry)

    def _record(self, kind: Kind, payload: Payload, origin: Origin, *, done: bool) -> Entry:
        entry = Entry(
            number=len(self._journal.entries) + 1,
            kind=kind,
            outcome="done" if done else "refused",
            at=timestamp(self._clock.now()),
            idempotency_key=origin.idempotency_key,
            run=origin.run,
            payload=payload,
        )
        self._journal.append(entry)
        return entry

    def _check(self, kind: Kind, payload: Payload) -> None:
        if kind in ("ticket_closure", "refund_cancellation"):
            self._check_undo(str(payload["id"]))
            return
        if payload.get("customer") is not None:
            self.customer(str(payload["customer"]))
        if payload.get("order") is None:
            return
        order = self._order(str(payload["order"]))
        if kind == "refund":
            left = order.total_cents - self._refunded.get(order.id, 0)
            if _cents(payload) > left:
                raise Conflict(
                    f"The refund is larger than what is left of the order: {left / 100:.2f} {order.currency}.",
                    code="conflict.refund_too_large",
                )

    def _check_undo(self, id_: str) -> None:
        entry = self._entry(id_)
        if id_ in self._gone:
            raise Conflict(f"{id_} was closed or cancelled before.", code="conflict.gone")
        if entry.kind == "refund" and self._clock.now() >= parse_timestamp(entry.at) + PAID_OUT_AFTER:
            raise Conflict("The refund is paid out and cannot be taken back any more.", code="conflict.paid_out")

    def _entry(self, id_: str) -> Entry:
        """Return the write that opened a ticket or booked a refund."""
        kind, _, number = id_.partition("-")
        found = self._journal.entries[int(number) - 1 : int(number)] if number.isdecimal() else []
        if not found or (found[0].kind, found[0].outcome) != (kind, "done"):
            raise NotFound(f"There is no {kind} with this id.")
        return found[0]

    def _apply(self, entry: Entry) -> None:
        if entry.kind == "refund":
            self._refunded[str(entry.payload["order"])] += _cents(entry.payload)
        elif entry.kind == "refund_cancellation":
            refund = self._entry(str(entry.payload["id"]))
            self._refunded[str(refund.payload["order"])] -= _cents(refund.payload)
            self._gone.add(str(entry.payload["id"]))
        elif entry.kind == "ticket_closure":
            self._gone.add(str(entry.payload["id"]))
        elif entry.kind == "customer_deletion":
            self._customers.pop(str(entry.payload["customer"]), None)

    def _told(self, entry: Entry) -> Answer:
        payload = entry.payload
        match entry.kind:
            case "ticket":
                return {"id": f"ticket-{entry.number}", "subject": payload["subject"], "status": "open"}
            case "ticket_closure":
                return {"id": payload["id"], "status": "closed"}
            case "refund_cancellation":
                refund = self._entry(str(payload["id"])).payload
                amounts = {"order": refund["order"], "amount_cents": refund["amount_cents"]}
                return {"id": payload["id"], **amounts, "status": "cancelled"}
            case "refund":
                order = self._order(str(payload["order"]))
                return {
                    "id": f"refund-{entry.number}",
                    "order": order.id,
                    "amount_cents": payload["amount_cents"],
                    "refunded_cents": self._refunded[order.id],
                    "currency": order.currency,
                    "status": "refunded",
                }
            case "email":
                return {"id": f"email-{entry.number}", "to": payload["to"], "status": "sent"}
            case "customer_deletion":
                return {"id": payload["customer"], "deleted": True, "status": "deleted"}

    def _order(self, order: str) -> Order:
        if order not in self._orders:
            raise NotFound("There is no order with this id.")
        return self._orders[order]


def _cents(payload: Payload) -> int:
    cents = payload["amount_cents"]
    assert isinstance(cents, int)
    return cents
