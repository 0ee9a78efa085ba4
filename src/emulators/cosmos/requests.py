"""What a request must look like before anybody reads what it wants (rules 1 and 2).

Whatever is not known is refused: a header that the SDK starts to send one day shall be looked at, not passed over.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import unquote

from emulators.cosmos.errors import CosmosError, bad

_SKEW_SECONDS = 15 * 60
_ANY = re.compile(r".+")
_TRUE = re.compile("True|False")
_NUMBER = re.compile(r"-?\d+")
_JSON_LIST = re.compile(r"\[.*\]")
_EPK = re.compile(r"[0-9A-Fa-f]*")

_HEADERS: Mapping[str, re.Pattern[str]] = {
    "x-ms-date": _ANY,
    "x-ms-version": re.compile(r"2020-07-15"),
    "x-ms-activity-id": _ANY,
    "x-ms-client-id": _ANY,
    "x-ms-client-request-id": _ANY,
    "x-ms-documentdb-query-iscontinuationexpected": _TRUE,
    "x-ms-thinclient-proxy-resource-type": _ANY,
    "x-ms-thinclient-proxy-operation-type": _ANY,
    "x-ms-cosmos-sdk-supportedcapabilities": _NUMBER,
    "x-ms-consistency-level": re.compile("Strong|BoundedStaleness|Session|ConsistentPrefix|Eventual"),
    "x-ms-session-token": re.compile(r"\d+:-?\d+#\d+(,\d+:-?\d+#\d+)*"),
    "x-ms-cosmos-intended-collection-rid": _ANY,
    "x-ms-cosmos-priority-level": re.compile("Low|High"),
    "x-ms-cosmos-throughput-bucket": re.compile("[1-5]"),
    "x-ms-max-item-count": _NUMBER,
    "x-ms-continuation": _ANY,
    "x-ms-documentdb-partitionkey": _JSON_LIST,
    "x-ms-documentdb-partitionkeyrangeid": re.compile(r"\d+"),
    "x-ms-start-epk": _EPK,
    "x-ms-end-epk": _EPK,
    "x-ms-read-key-type": re.compile("EffectivePartitionKeyRange"),
    "x-ms-documentdb-query-enablecrosspartition": _TRUE,
    "x-ms-documentdb-isquery": re.compile("true"),
    "x-ms-documentdb-is-upsert": _TRUE,
    "x-ms-cosmos-is-batch-request": re.compile("True"),
    "x-ms-cosmos-batch-atomic": re.compile("True"),
    "x-ms-cosmos-batch-continue-on-error": re.compile("False"),
    "x-ms-cosmos-correlated-activityid": _ANY,
    "x-ms-cosmos-is-query-plan-request": re.compile("True"),
    "x-ms-cosmos-supported-query-features": _ANY,
    "x-ms-cosmos-query-version": re.compile(r"1\.\d"),
    "x-ms-documentdb-populatequerymetrics": _TRUE,
    "x-ms-documentdb-populatequotainfo": _TRUE,
    "x-ms-offer-throughput": _NUMBER,
    "x-ms-cosmos-offer-autopilot-settings": re.compile(r"\{.*\}"),
}
"""Every header of the service's that a request may have, and what it may say."""

_WITHOUT_SLASH = re.compile(r"/|/dbs|/offers|/dbs/[^/]+/colls/[^/]+/operations/partitionkeydelete|/offers/[^/]+/?")


@dataclass(frozen=True, slots=True)
class Request:
    """A request that has been looked at.

    Attributes:
        parts: the path's names, decoded.
        headers: by lower-case name.
        may_administer: whether the caller may make databases and containers.
        rows: how many rows a page may have, where a fault says so.
    """

    method: str
    parts: tuple[str, ...]
    headers: Mapping[str, str]
    body: bytes
    may_administer: bool = True
    rows: int | None = None


def split_path(path: str) -> tuple[str, ...]:
    """Return the decoded names of a path.

    Raises:
        CosmosError: 400: the SDK ends every path with a slash but for a few, and sends no other form (rule 1).
    """
    if not (path.endswith("/") or _WITHOUT_SLASH.fullmatch(path)) or "//" in path:
        raise bad("The path must end with a slash.")
    return tuple(unquote(part) for part in path.split("/") if part)


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that are not known, and values that no SDK sends.

    Raises:
        CosmosError: 400; 401 where the date is not now, as the service answers.
    """
    for name, value in headers.items():
        if name.startswith("x-ms-"):
            form = _HEADERS.get(name)
            if form is None:
                raise bad(f"The header {name} is not known.")
            if not form.fullmatch(value):
                raise bad(f"The header {name} has a value that is not known.")
    for needed in ("x-ms-date", "x-ms-version"):
        if needed not in headers:
            raise bad(f"The header {needed} is missing.")
    _check_date(headers["x-ms-date"])


def bearer(headers: Mapping[str, str]) -> str:
    """Return the token of `type=aad&ver=1.0&sig=<token>` (rule 2).

    Raises:
        CosmosError: 401.
    """
    kind, version, signature = (*headers.get("authorization", "").split("&", 2), "", "", "")[:3]
    if (kind, version) != ("type=aad", "ver=1.0") or not re.match("sig=.", signature):
        message = "Only tokens of Microsoft Entra ID are accepted: keys are disabled on this account."
        raise CosmosError(HTTPStatus.UNAUTHORIZED, message)
    return signature.removeprefix("sig=")


def page_size(request: Request) -> int:
    """Return how many rows a page may have: 100 unless told, -1 leaves it to the server (rule 7)."""
    if request.rows is not None:
        return request.rows
    told = int(request.headers.get("x-ms-max-item-count", "100"))
    if told == 0 or told < -1:
        raise bad("x-ms-max-item-count is a positive number, or -1.")
    return 1000 if told == -1 else told


def _check_date(text: str) -> None:
    try:
        sent = parsedate_to_datetime(text).timestamp()
    except ValueError as error:
        raise bad("x-ms-date is no date.") from error
    if abs(time.time() - sent) > _SKEW_SECONDS:
        raise CosmosError(HTTPStatus.UNAUTHORIZED, "x-ms-date is not within 15 minutes of now.")
