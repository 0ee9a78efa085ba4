"""The transactional batch: all of its operations or none (rule 6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import orjson

from emulators.cosmos.documents import Conditions, Documents, Done
from emulators.cosmos.errors import CosmosError, bad, unknown
from emulators.cosmos.values import Json, Object, Value, as_list, as_object, check_keys

_MOST, _LARGEST = 100, 2 * 1024 * 1024
_OPERATION = frozenset({"operationType", "id", "resourceBody", "ifMatch", "ifNoneMatch"})


class BatchFailed(Exception):
    """Undoes the transaction; carries what to answer."""

    def __init__(self, results: list[Json]) -> None:
        super().__init__()
        self.results = results


@dataclass(frozen=True, slots=True)
class BatchDone:
    """The result of each operation, and what all cost."""

    results: list[Json]
    charge: float


def read_batch(body: Json, size: int) -> list[Object]:
    """Check a batch as a whole.

    Raises:
        CosmosError: 400: empty, over 100 operations, or with an unknown key; 413: over 2 MB.
    """
    if size > _LARGEST:
        raise CosmosError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request size is too large.")
    operations = [as_object(value, "An operation of a batch") for value in as_list(body, "A batch")]
    if not operations:
        raise bad("Batch request has no operations.")
    if len(operations) > _MOST:
        raise bad("Batch request has more operations than what is supported.")
    for operation in operations:
        check_keys(operation, _OPERATION, "An operation of a batch")
    return operations


def run_batch(documents: Documents, operations: Sequence[Object]) -> BatchDone:
    """Do the operations one after the other.

    Raises:
        BatchFailed: one was refused. It has its own status, all others have 424.
    """
    results: list[Json] = []
    charge = 0.0
    for number, operation in enumerate(operations):
        try:
            done = _run(documents, operation)
        except CosmosError as error:
            raise BatchFailed(_failed(number, len(operations), error)) from error
        results.append(_result(done))
        charge += done.charge
    return BatchDone(results, charge)


def _run(documents: Documents, operation: Object) -> Done:
    conditions = Conditions(_etag(operation, "ifMatch"), _etag(operation, "ifNoneMatch"))
    body: Value = operation.get("resourceBody")
    match operation.get("operationType"):
        case "Create":
            return documents.create(as_object(body, "resourceBody"))
        case "Upsert":
            return documents.upsert(as_object(body, "resourceBody"), conditions)
        case "Replace":
            return documents.replace(_id(operation), as_object(body, "resourceBody"), conditions)
        case "Patch":
            return documents.patch(_id(operation), as_object(body, "resourceBody"), conditions)
        case "Delete":
            return documents.delete(_id(operation), conditions)
        case "Read":
            if conditions.none_match:
                raise unknown("ifNoneMatch of a read in a batch")
            return documents.read(_id(operation), conditions)
        case other:
            raise bad(f"The operation {other!r} of a batch is not known.")


def _id(operation: Object) -> str:
    name = operation.get("id")
    if not isinstance(name, str):
        raise bad("The operation of the batch names no id.")
    return name


def _etag(operation: Object, name: str) -> str | None:
    value = operation.get(name)
    if value is not None and not isinstance(value, str):
        raise bad(f"{name} must be a string.")
    return value


def _result(done: Done) -> Object:
    result: Object = {"statusCode": int(done.status), "eTag": done.etag, "requestCharge": done.charge}
    return result | {"resourceBody": orjson.loads(done.body)} if done.body else result


def _failed(culprit: int, count: int, error: CosmosError) -> list[Json]:
    own: Object = {"statusCode": int(error.http_status), "requestCharge": 1.0}
    if error.substatus:
        own["subStatusCode"] = error.substatus
    others: Object = {"statusCode": int(HTTPStatus.FAILED_DEPENDENCY), "requestCharge": 0.0}
    return [own if number == culprit else others for number in range(count)]
