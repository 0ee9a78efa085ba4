"""What guards cost in a two-step turn: each look that it takes, of the guard that needs no service, and nothing around.

The message, what the tool is given, what it says, and the answer piece by piece, as a model's stream brings it.
"""

import time

import uvloop
from pydantic import BaseModel

from core import TenantContext
from guards import Outgoing, Place, Text
from guards.local import LocalGuard
from mandate.bench.appends import throw_away_context
from mandate.bench.asked import ORDER
from mandate.bench.figures import Figures, spread
from mandate.bench.programs import read_order, tell
from mandate.host import NOWHERE, product_tools
from orchestration import Watch, of_arguments, of_output

_ANSWER = (
    "Order A-20417 was placed on 11 October 2026 and has been shipped. It holds one Merganser 48 backpack for 179.00 "
    "EUR and a pair of Dunlin trekking poles for 69.90 EUR, 248.90 EUR in all. Is there anything else to look up?"
)
_PIECE = 5
"""Characters of a piece of the stream: about a token."""


class Order(BaseModel):
    """How many turns."""

    turns: int


async def measure(order: Order) -> Figures:
    """Return the CPU microseconds of all looks of a turn, and of each kind of them."""
    guard, context = LocalGuard(tool.name for tool in product_tools(NOWHERE)), throw_away_context()
    read: list[float] = []
    given: list[float] = []
    shown: list[float] = []
    for number in range(order.turns):
        message = f"Look up order A-20417 for caller {number}."
        began = time.process_time()
        await _read(Watch([guard]), context, message)
        first = time.process_time()
        of_arguments({"order_id": "A-20417"})
        second = time.process_time()
        _show(message)
        read.append(first - began)
        given.append(second - first)
        shown.append(time.process_time() - second)
    whole = [sum(parts) for parts in zip(read, given, shown, strict=True)]
    kinds = {"turn_cpu_us": whole, "read_cpu_us": read, "given_cpu_us": given, "shown_cpu_us": shown}
    return {name: spread(times, scale=1e6, digits=1) for name, times in kinds.items()}


async def _read(watch: Watch, context: TenantContext, message: str) -> None:
    """Look as often as a turn does: before each model call, and before the tool call."""
    asked, told = Text(Place.MESSAGE, message), Text(Place.RESULTS, ORDER)
    for texts in ([asked], [asked], [asked, told]):
        await watch.checked(context, texts)


def _show(message: str) -> None:
    outgoing = Outgoing()
    for start in range(0, len(_ANSWER), _PIECE):
        of_output(outgoing.take(_ANSWER[start : start + _PIECE]).found, message)
    of_output(outgoing.finish().found, message)


def main() -> None:
    tell(uvloop.run(measure(read_order(Order))))
