"""Managed applications: the product in a customer's own Azure subscription, as the platform tells and ARM confirms.

A notification proves itself by a secret in its address alone, so it only says where to look: what becomes of a record
is what reading the application says.

https://learn.microsoft.com/azure/azure-resource-manager/managed-applications/publish-notifications
"""

import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from control import contexts
from control.access import AccessLog
from control.directory import Directory
from control.marketplace.shapes import Optional, Short
from control.marketplace.states import base_plan
from control.marketplace.subscriptions import Terms
from control.records import TenantRecord, owner_mark
from core import Clock, TenantId, derived_id, timestamp
from core.errors import Conflict, Forbidden, NotFound, PreconditionFailed, Unauthenticated
from data import Page, Record, Records, Store, Versioned

STAMP = "customer"
"""Where a customer hosts it themselves: no stamp of ours."""

_ID = re.compile(
    r"/subscriptions/[0-9a-f-]{36}/resourcegroups/[\w.()-]{1,90}/providers/microsoft\.solutions/applications/[\w.-]{1,64}"
)
_ATTEMPTS = 20
_NAME = 100

State = Literal["being_made", "running", "failed", "going", "gone"]
_STATES: dict[str, State] = {"succeeded": "running", "failed": "failed", "deleting": "going", "deleted": "gone"}


def _normal(value: object) -> object:
    """Return an id of Azure's as we keep it: some samples leave the slash at its beginning out."""
    return f"/{value.strip().strip('/')}".lower() if isinstance(value, str) else value


class _Said(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Notification(_Said):
    """The little of a notification that is read: which application to look at."""

    application_id: Annotated[str, BeforeValidator(_normal), Field(pattern=f"^{_ID.pattern}$")]


class ApplicationPlan(_Said):
    name: Optional = ""
    publisher: Optional = ""
    product: Optional = ""
    version: Optional = ""


class Application(_Said):
    """An application as ARM has it.

    Attributes:
        usage: id under which its use is metered; there is none outside of the marketplace.
        beats_as: tenant and object id, by its own outputs, of the identity that it tells of itself with.
    """

    name: Optional = ""
    location: Optional = ""
    state: Short
    plan: ApplicationPlan = ApplicationPlan()
    usage: Short = ""
    beats_as: tuple[str, str] = ("", "")


class Applications(Protocol):
    async def application(self, resource: str) -> Application:
        """Return an application as it is now.

        Raises:
            NotFound: there is none, or we may not read it.
            Unavailable: ARM does not answer (`dependency.arm`).
        """
        ...


class ApplicationRecord(Record):
    """A managed application, in the publisher's tenant. Key: SHA-256 in hex of its id at Azure, in lower case.

    Attributes:
        resource: that id: by it ARM is asked, and use is metered.
        plan: as it was bought; `plan_version` of the package.
        beats_as: mark of the identity that may tell of it; see `control.records.owner_mark`.
        version: of the code that it last told; empty where it never did, which is the customer's to say.
    """

    kind: ClassVar[str] = "application"
    model_config = ConfigDict(frozen=True, extra="forbid")

    resource: str
    tenant: TenantId
    name: str
    state: State
    plan: str
    base_plan: str
    plan_version: str
    usage: str
    beats_as: str
    seen_at: str
    beat_at: str = ""
    version: str = ""


class ManagedApplications:
    """Keeps a record of each application, and a tenant's entry that follows it.

    Args:
        secret: what the notification's address carries as `sig`.
        product: of our offer; applications of any other are none of ours.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        arm: Applications,
        directory: Directory,
        access: AccessLog,
        terms: Terms,
        *,
        secret: str,
        product: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._arm = arm
        self._directory = directory
        self._access = access
        self._terms = terms
        self._secret = secret
        self._product = product

    @property
    def _records(self) -> Records:
        return self._store.tenant(contexts.publisher("applications")).records

    def check(self, secret: str) -> None:
        """Return if a notification carries the secret, in a time that tells nothing of it.

        Raises:
            NotFound: no application is sold here.
            Unauthenticated: it is another, or none (`access.signature`).
        """
        if not self._secret:
            raise NotFound("No managed application is sold here.")
        if not hmac.compare_digest(secret.encode(), self._secret.encode()):
            raise Unauthenticated("This is not the platform's notification.", code="access.signature")

    async def take(self, notification: Notification) -> None:
        """Read the application that a notification is about, and make record and tenant so; again changes nothing.

        Raises:
            Unavailable: ARM does not answer; the platform tells again.
        """
        resource = notification.application_id
        for _ in range(_ATTEMPTS):
            found = await self._records.get(ApplicationRecord, _key(resource))
            try:
                seen = await self._arm.application(resource)
            except NotFound:
                record = found.value.model_copy(update={"state": "gone"}) if found else None
            else:
                record = self._adopted(found.value if found else None, resource, seen)
            if record is None:
                return
            if found is None or record != found.value:
                try:
                    await self._records.put(_key(resource), record, etag=found.etag if found else None)
                except PreconditionFailed:
                    continue
                publisher = contexts.publisher("applications")
                await self._access.admin(publisher, record.kind, record.tenant, record.state, cause="told")
            await self._follow(record)
            return
        raise Conflict("Too many change this application at once; try again in a moment.", retry_after=1)

    async def beat(self, mark: str, version: str) -> TenantId:
        """Take note that an application is alive, and of which version it is; return the tenant that it is of.

        Raises:
            Forbidden: no application of ours tells of itself with this identity (`access.not_a_stamp`).
        """
        now = timestamp(self._clock.now())
        async for found in self._all():
            if mark and found.value.beats_as == mark and found.value.state != "gone":
                record = found.value.model_copy(update={"beat_at": now, "version": version})
                with suppress(PreconditionFailed):  # the next beat counts as well
                    await self._records.put(found.key, record, etag=found.etag)
                return record.tenant
        raise Forbidden("No application of ours tells of itself in this way.", code="access.not_a_stamp")

    async def page(self, cursor: str | None = None) -> Page[Versioned[ApplicationRecord]]:
        return await self._records.list(ApplicationRecord, cursor=cursor)

    async def _all(self) -> AsyncIterator[Versioned[ApplicationRecord]]:
        cursor = None
        while True:
            page = await self.page(cursor)
            for found in page.items:
                yield found
            if (cursor := page.cursor) is None:
                return

    def _adopted(self, known: ApplicationRecord | None, resource: str, seen: Application) -> ApplicationRecord | None:
        if seen.plan.product != self._product:
            return None
        ours, _ = base_plan(seen.plan.name, self._terms.plans, self._terms.base)
        record = ApplicationRecord(
            resource=resource,
            tenant=TenantId(derived_id("ten", "application", resource)),
            name="".join(letter for letter in seen.name if letter.isprintable())[:_NAME] or "Application",
            state=_STATES.get(seen.state.lower(), "being_made"),
            plan=seen.plan.name,
            base_plan=ours,
            plan_version=seen.plan.version,
            usage=seen.usage,
            beats_as=_mark(*seen.beats_as),
            seen_at=known.seen_at if known else timestamp(self._clock.now()),
        )
        if known is None:
            return record
        return record.model_copy(update={"beat_at": known.beat_at, "version": known.version})

    async def _follow(self, record: ApplicationRecord) -> None:
        """Have the directory know whom we answer for: nobody signs in to it here, and nothing of theirs is with us."""
        if record.state == "running":
            tenant = TenantRecord(
                id=record.tenant,
                name=record.name,
                plan=record.base_plan,
                region=self._terms.region,
                stamp=STAMP,
                mode="customer_hosted",
            )
            with suppress(Conflict):  # it is there, and was changed since: the id is derived, so it is this one
                await self._directory.create_tenant(tenant)
        status = "active" if record.state == "running" else "closed" if record.state == "gone" else "suspended"
        with suppress(NotFound):
            await self._directory.update(record.tenant, plan=record.base_plan, status=status)


def _key(resource: str) -> str:
    return hashlib.sha256(resource.encode()).hexdigest()


def _mark(tid: str, oid: str) -> str:
    return owner_mark(tid.lower(), oid.lower()) if tid and oid else ""
