"""`/publisher/subscriptions`: what was bought, what became of it, and what the publisher's people do to it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import Field, StringConstraints

from interaction.answers import Given, problems
from interaction.authority import Staff, StaffActing, acts
from interaction.console.forms import form_of
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.dependencies import Deps
from interaction.publisher import ask

router = APIRouter(prefix="/publisher/subscriptions", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(name="subscriptions", path="/publisher/subscriptions", icon="store", position=20, of_publisher=True)

_SEE_OTHER = 303
_BACK = {303: {"description": "To the subscription"}}
SubscriptionPath = Annotated[str, Path(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Cursor = Annotated[str, Query(pattern=r"^[A-Za-z0-9_.=~-]{0,1000}$")]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")]


class Because(Given):
    reason: Reason


class OtherTerms(Because):
    """Another plan, or another number of seats; the other field is left empty."""

    plan: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,99}$")] | None = None
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Fixing(Because):
    fixed: Literal["true", "false"]


@router.get("", responses=problems(404, 422))
async def subscriptions_page(me: Staff, deps: Deps, page: PageView, cursor: Cursor = "") -> Response:
    """List all subscriptions. The publisher's people."""
    found = await ask(me, deps, "GET", f"/v1/subscriptions{f'?cursor={cursor}' if cursor else ''}")
    return await page.show("publisher_subscriptions.html", bought=found["items"], cursor=found["cursor"])


@router.get("/{subscription}", responses=problems(404, 422))
async def subscription_page(me: Staff, deps: Deps, page: PageView, subscription: SubscriptionPath) -> Response:
    """Show a subscription: its history, what is under way, and what can be told of its sale. The publisher's people."""
    return await page.show(
        "publisher_subscription.html",
        about=await ask(me, deps, "GET", f"/v1/subscriptions/{subscription}"),
        offer=await ask(me, deps, "GET", "/v1/offer"),
        may=acts(me),
    )


@router.post("/{subscription}/activation", responses={**_BACK, **problems(404, 409, 422)})
async def begin(request: Request, me: StaffActing, deps: Deps, subscription: SubscriptionPath) -> Response:
    """Begin a subscription for a customer who has agreed. The publisher's people who may act."""
    said = await form_of(request, Because)
    await ask(me, deps, "POST", f"/v1/subscriptions/{subscription}/activation", {"reason": said.reason})
    return _back(subscription)


@router.post("/{subscription}/change", responses={**_BACK, **problems(404, 409, 422)})
async def change(request: Request, me: StaffActing, deps: Deps, subscription: SubscriptionPath) -> Response:
    """Ask for another plan or other seats, which the customer has agreed to. The publisher's people who may act."""
    said = await form_of(request, OtherTerms)
    body = said.model_dump(exclude_none=True)
    await ask(me, deps, "POST", f"/v1/subscriptions/{subscription}/change", body)
    return _back(subscription)


@router.post("/{subscription}/fixing", responses={**_BACK, **problems(404, 409, 422)})
async def fix(request: Request, me: StaffActing, deps: Deps, subscription: SubscriptionPath) -> Response:
    """Say that nothing changes within the term, or that it may again. The publisher's people who may act."""
    said = await form_of(request, Fixing)
    body = {"reason": said.reason, "fixed": said.fixed == "true"}
    await ask(me, deps, "POST", f"/v1/subscriptions/{subscription}/fixing", body)
    return _back(subscription)


def _back(subscription: str) -> Response:
    return RedirectResponse(f"/publisher/subscriptions/{subscription}", _SEE_OTHER)
