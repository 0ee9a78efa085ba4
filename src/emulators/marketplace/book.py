"""What the marketplace knows, kept in one file that is replaced as a whole before anybody is answered."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from core.errors import Defect
from emulators.private_files import private_folder, replace_private

Status = Literal["PendingFulfillmentStart", "Subscribed", "Suspended", "Unsubscribed"]
Action = Literal["ChangePlan", "ChangeQuantity", "Renew", "Suspend", "Reinstate", "Unsubscribe", "Subscribe"]
OperationStatus = Literal["InProgress", "Succeeded", "Failed", "Conflict"]


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Person(_Kept):
    email_id: str
    object_id: str
    tenant_id: str
    puid: str


class Term(_Kept):
    start_date: str | None
    end_date: str | None
    term_unit: str


class Subscription(_Kept):
    """As `GET /saas/subscriptions/{id}` gives it.

    https://learn.microsoft.com/partner-center/marketplace-offers/pc-saas-fulfillment-subscription-api#get-subscription
    """

    id: str
    publisher_id: str
    offer_id: str
    name: str
    saas_subscription_status: Status
    beneficiary: Person
    purchaser: Person
    plan_id: str
    quantity: int | None
    term: Term
    auto_renew: bool = True
    is_test: bool = False
    is_free_trial: bool = False
    allowed_customer_operations: list[str]
    sandbox_type: Literal["None", "Csp"] = "None"
    created: str
    last_modified: str
    session_mode: str = "None"


class Operation(_Kept):
    """As `GET .../operations/{id}` gives it, and what only the marketplace knows of it.

    Attributes:
        before: the subscription before the change, which the webhook carries.
        settles_at: when it is taken for accepted, if nobody objects; seconds since 1970.
    """

    id: str
    activity_id: str
    subscription_id: str
    offer_id: str
    publisher_id: str
    plan_id: str
    quantity: int | None
    action: Action
    time_stamp: str
    status: OperationStatus
    operation_request_source: Literal["Azure", "Partner"]
    before: Subscription
    settles_at: float | None = None


class Delivery(_Kept):
    """A webhook that the publisher has not taken yet; `due` in seconds since 1970."""

    operation: str
    attempt: int = 0
    due: float


class UsageLine(_Kept):
    """One accepted usage event."""

    usage_event_id: str
    message_time: str
    resource_id: str
    quantity: float
    dimension: str
    effective_start_time: str
    plan_id: str


class ManagedApplication(_Kept):
    """An application in a customer's own Azure subscription.

    Attributes:
        beats_as: tenant and object id of the identity that it tells of itself with.
    """

    id: str
    name: str
    plan: str
    usage: str
    state: str
    product: str = "mandate-managed"
    plan_version: str = "1.0.0"
    beats_as: tuple[str, str] = ("", "")


class Told(_Kept):
    """A notification that the publisher has not heard yet; `due` in seconds since 1970."""

    id: str
    body: str
    attempt: int = 0
    due: float


class Landing(_Kept):
    """A token of a landing page, by its hash; `until` in seconds since 1970."""

    subscription: str
    until: float


class State(_Kept):
    subscriptions: dict[str, Subscription] = {}
    operations: dict[str, Operation] = {}
    deliveries: list[Delivery] = []
    usage: list[UsageLine] = []
    landings: dict[str, Landing] = {}
    ended_at: dict[str, float] = {}
    """When each subscription was cancelled."""
    source_offers: dict[str, str] = {}
    """The private offer that a subscription came from."""
    applications: dict[str, ManagedApplication] = {}
    """By their ids at Azure, in lower case."""
    told: list[Told] = []


class Book:
    """The state and its file. Whoever changes it does so alone, and is answered when it is on disk."""

    def __init__(self, path: Path) -> None:
        """Read the file, if there is one. Blocking.

        Raises:
            Defect: it cannot be read.
        """
        private_folder(path.parent)
        self._path = path
        self._lock = asyncio.Lock()
        try:
            self.state = State.model_validate_json(path.read_bytes()) if path.exists() else State()
        except ValidationError as error:
            raise Defect("The file of the marketplace emulator cannot be read.", code="defect.journal") from error

    @asynccontextmanager
    async def changing(self) -> AsyncGenerator[State]:
        """Give the state to change; what raises leaves it as it was."""
        async with self._lock:
            draft = self.state.model_copy(deep=True)
            yield draft
            await asyncio.to_thread(replace_private, self._path, draft.model_dump_json(by_alias=True).encode())
            self.state = draft
