"""What the marketplace says, read leniently: unknown fields, numbers as text, padded words are all to be expected."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


def _trimmed(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _whole(value: object) -> int | None:
    """Return a quantity; samples have it as a number, as text, as nothing."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) and value >= 0 else None


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _listed(value: object) -> object:
    return () if value is None else value


def moment(text: str) -> datetime | None:
    """Return a time of theirs, in UTC where it does not say; None where it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def _short(value: object) -> str:
    """Return a text that nothing depends on; nothing where it is longer than it can be."""
    return text if len(text := _text(value)) <= MOST_ADDRESS else ""


MOST_ADDRESS = 254
"""Of an e-mail address, by RFC 5321."""

Word = Annotated[str, BeforeValidator(_trimmed), Field(min_length=1, max_length=200)]
Guid = Annotated[
    str,
    BeforeValidator(lambda value: value.strip().lower() if isinstance(value, str) else value),
    Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
]
Optional = Annotated[str, BeforeValidator(_text), Field(max_length=200)]
Short = Annotated[str, BeforeValidator(_short)]
Quantity = Annotated[int | None, BeforeValidator(_whole)]


class _Said(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Person(_Said):
    """Who uses or who bought. Nobody is known by their e-mail address: it is for writing to them only."""

    object_id: Optional = ""
    tenant_id: Optional = ""
    puid: Short = ""
    email_id: Short = ""

    def is_(self, tid: str, oid: str, puid: str = "") -> bool:
        """Return whether it is this person: by `tid`, which all personal accounts share, and by who they are in it.

        The object id says who; the puid, which tokens have where the app registration asks for it, counts only where
        the marketplace gives no object id.
        """
        if not self.tenant_id or self.tenant_id.lower() != tid:
            return False
        if self.object_id:
            return self.object_id.lower() == oid
        return bool(puid) and self.puid.upper() == puid.upper()

    def same(self, other: "Person") -> bool:
        """Return whether two are one person, as far as the marketplace says."""
        mine, theirs = (one.tenant_id.lower() for one in (self, other))
        ids = ((self.object_id.lower(), self.puid.upper()), (other.object_id.lower(), other.puid.upper()))
        return mine == theirs and ids[0] == ids[1]


class Term(_Said):
    start_date: Optional = ""
    end_date: Optional = ""
    term_unit: Optional = ""


class Subscription(_Said):
    """One subscription as the marketplace has it."""

    id: Guid
    offer_id: Optional = ""
    name: Optional = ""
    status: Word = Field(validation_alias=AliasChoices("saasSubscriptionStatus", "status"))
    beneficiary: Person = Person()
    purchaser: Person = Person()
    plan_id: Word
    quantity: Quantity = None
    term: Term = Term()
    auto_renew: bool = False
    is_test: bool = False
    allowed_customer_operations: tuple[str, ...] = ()


class Operation(_Said):
    """One operation as the marketplace has it; `action` and `status` may be words that nobody has told us of."""

    id: Guid
    subscription_id: Guid
    action: Word
    status: Optional = ""
    plan_id: Optional = ""
    quantity: Quantity = None


class Notice(_Said):
    """The little of a webhook that is read: which operation to ask about. Nothing else in it is believed."""

    id: Guid
    subscription_id: Guid
    action: Word


class SubscriptionPage(_Said):
    """A page of the list; `next_link` leads to the next."""

    subscriptions: tuple[Subscription, ...] = ()
    next_link: Optional = Field(default="", validation_alias=AliasChoices("@nextLink", "nextLink"))


class _SourceOffer(_Said):
    external_id: Optional = ""


class _IncludedUnits(_Said):
    dimension_id: Optional = ""
    units: Quantity = None


class _BillingTerm(_Said):
    term_unit: Optional = ""
    metered_quantity_included: Annotated[tuple[_IncludedUnits, ...], BeforeValidator(_listed)] = ()


class _Components(_Said):
    recurrent_billing_terms: Annotated[tuple[_BillingTerm, ...], BeforeValidator(_listed)] = ()


class AvailablePlan(_Said):
    """One of the plans that a subscription can have; prices are not read."""

    plan_id: Word
    is_private: bool = False
    source_offers: Annotated[tuple[_SourceOffer, ...], BeforeValidator(_listed)] = ()
    plan_components: _Components | None = None

    def included(self, term: str) -> dict[str, int]:
        """Return the units that its price includes in such a term, by dimension, where it says so."""
        terms = self.plan_components.recurrent_billing_terms if self.plan_components else ()
        alike = [one for one in terms if one.term_unit == term] or (terms if len(terms) == 1 else ())
        said = alike[0].metered_quantity_included if alike else ()
        return {one.dimension_id: one.units for one in said if one.dimension_id and one.units is not None}


class AvailablePlans(_Said):
    plans: tuple[AvailablePlan, ...] = ()


class PendingOperations(_Said):
    operations: tuple[Operation, ...] = ()


def _units(value: object) -> int:
    """Return a number of units; ours are whole, and come back as `3.0`, or as text."""
    if isinstance(value, str):
        value = float(value)
    if isinstance(value, int | float) and value == int(value):
        return int(value)
    raise ValueError("not a whole number of units")


Units = Annotated[int, BeforeValidator(_units)]


class _OfResource(_Said):
    """What is said of a resource, by its id or its URI; the report has the id under a name of its own."""

    resource_id: Optional = Field(default="", validation_alias=AliasChoices("resourceId", "usageResourceId"))
    resource_uri: Annotated[str, BeforeValidator(_text), Field(max_length=2000)] = ""
    dimension: Optional = ""

    def is_of(self, id_: str, uri: str, dimension: str) -> bool:
        same = (self.resource_uri.lower() == uri.lower()) if uri else (self.resource_id.lower() == id_.lower())
        return same and self.dimension == dimension


class _AcceptedMessage(_Said):
    quantity: Units = 0


class _AdditionalInfo(_Said):
    accepted_message: _AcceptedMessage | None = None


class _Problem(_Said):
    additional_info: _AdditionalInfo | None = None


class UsageAnswer(_OfResource):
    """What became of one event of a batch; `status` may be a word that nobody has told us of."""

    status: Word
    quantity: Units = 0
    effective_start_time: Optional = ""
    error: _Problem | None = None

    @property
    def at(self) -> datetime | None:
        """The beginning of the hour that it is about."""
        return moment(self.effective_start_time)

    @property
    def accepted(self) -> int | None:
        """Units that are accepted for that hour: of a duplicate, those of the event before; None if it is not said."""
        if self.status != "Duplicate":
            return self.quantity
        message = self.error.additional_info.accepted_message if self.error and self.error.additional_info else None
        return message.quantity if message else None


class UsageAnswers(_Said):
    result: tuple[UsageAnswer, ...]


class Reported(_OfResource):
    """A line of the marketplace's report of what it accepted: the sum of a day."""

    day: Optional = Field(default="", validation_alias=AliasChoices("usageDate", "effectiveStartTime"))
    quantity: Units = Field(default=0, validation_alias=AliasChoices("processedQuantity", "quantity"))
    status: Optional = Field(default="", validation_alias=AliasChoices("reconStatus", "status"))
