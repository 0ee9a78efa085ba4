"""What the publisher tells a tenant: shown on the pages of its owners and admins until its time is over."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from pydantic import ConfigDict

from control import contexts
from control.records import TenantRecord
from core import Content, ContentClass, ContentRef, timestamp
from core.errors import NotFound, PreconditionFailed
from data import Record, Store, TenantData

MOST_NOTICES = 20
"""Of a tenant's, that are shown or wait to be cleared away."""


class NoticeRecord(Record):
    """One notice. Key: what makes it one, or when it was given.

    Attributes:
        what: `message` has words of the publisher's people, the others are words of ours.
        until: it is shown until then.
        day: on which a term ends.
        text: of a message.
    """

    kind: ClassVar[str] = "notice"
    model_config = ConfigDict(frozen=True, extra="forbid")

    what: Literal["message", "term_renews", "term_ends"]
    at: str
    until: str
    day: str = ""
    text: ContentRef | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice as people read it."""

    what: Literal["message", "term_renews", "term_ends"]
    at: str
    day: str
    text: str


async def give_notice(store: Store, tenant: TenantRecord, key: str, notice: NoticeRecord, text: str = "") -> None:
    """Give a tenant a notice; one that is there under the key stays."""
    data = store.tenant(contexts.platform(tenant, "notice"))
    if text:
        said = Content.new(text.encode(), kind=ContentClass.REASON, owner=data.context.principal.id)
        await data.content.put([said])
        notice = notice.model_copy(update={"text": said.ref})
    with suppress(PreconditionFailed):
        await data.records.put(key, notice, etag=None)


async def current_notices(data: TenantData, now: datetime) -> Sequence[Notice]:
    """Return what a tenant is told now, the latest first."""
    page = await data.records.list(NoticeRecord, limit=MOST_NOTICES)
    shown = [found.value for found in page.items if found.value.until > timestamp(now)]
    told = [Notice(one.what, one.at, one.day, await _text(data, one)) for one in shown]
    return sorted(told, key=lambda one: one.at, reverse=True)


async def forget_old_notices(data: TenantData, now: datetime) -> None:
    """Clear away the notices whose time is over."""
    for found in (await data.records.list(NoticeRecord, limit=MOST_NOTICES)).items:
        if found.value.until <= timestamp(now):
            if found.value.text:
                await data.content.erase([found.value.text.id])
            with suppress(PreconditionFailed):
                await data.records.delete(NoticeRecord, found.key, etag=found.etag)


async def _text(data: TenantData, notice: NoticeRecord) -> str:
    try:
        return (await data.content.get(notice.text)).decode() if notice.text else ""
    except NotFound:
        return ""
