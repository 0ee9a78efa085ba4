"""Hooks for Schemathesis, in its own process: ids that exist, of both companies, and what a generator cannot know."""

import os
import random
from collections.abc import Mapping
from typing import Any

import orjson
import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.core.failures import Failure

KNOWN: Mapping[str, list[str]] = orjson.loads(os.environ["KNOWN_IDS"])
"""By the name of a parameter or a field: ids that exist, of one's own company and of the other."""

FOREIGN = frozenset(orjson.loads(os.environ["FOREIGN_IDS"]))
CHANCE = random.Random(1)

BY_STATE = {
    "request.cursor": "a cursor is what the page before gave",
    "request.period": "two days that are too far apart, or in the wrong order",
    "request.idempotency_key": "the same key for another request",
    "identity.state": "a sign-in that this browser began",
    "precondition": "an ETag is what was read",
    "document.type": "bytes that are no such document",
    "document.broken": "the same, further in",
    "document.no_text": "a page without words",
    "erasure.confirm": "what is typed again is a name",
    "source.endpoint": "a host is one of those allowed",
    "source.region": "a source is where the organisation's data may be",
    "request.refused": "a live list is for those who accept an event stream",
    "entitlement.unit": "units stand in a file of ours",
    "policy.syntax": "a text that is no Cedar",
    "policy.schema": "Cedar that speaks of what there is not",
    "policy.layer": "Cedar that loosens",
    "policy.fact": "each action has facts of its own",
    "agent.scope": "what an agent was given stands in its manifest",
    "rollout.ring": "which rings there are stands in the environment",
    "rollout.windows": "hours enough in a week",
    "rollout.freezes": "a time to come, and not too long",
    "deputy.role": "a deputy is somebody who may decide",
    "approval.app": "an app is one that the organisation has named",
    "approval.unsigned": "a decision in such an app is signed",
    "approval.proof": "a signature is of this decision",
    "deputy.self": "a deputy is somebody else",
    "deputy.period": "a time to come, and not too long",
    "openai.message": "the last user message is what is asked",
    "openai.conversation": "one way to name a conversation",
}
"""Refusals of what fits the schema, for reasons that no schema can state."""


OF_PAGES = ("RejectedPositiveData", "UndefinedContentType")
"""Not asked of the console: what a form wants stands in its page, and what it refuses is said in one."""

BESIDE_IDS = ("/v1/conversations/search", "/v1/conversations/events", "/v1/subscriptions/reconciliation")
"""Where an id could stand as well: whatever else is done with ids is answered there as for one that does not exist."""


@schemathesis.hook  # pyright: ignore[reportUnknownMemberType] - its own type is open
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Ask for what exists in most of the calls that ask for something well-formed."""
    if "stateful" in str(case.meta and case.meta.phase.name):
        return  # there the ids come from earlier answers
    body = case.body if isinstance(case.body, dict) else {}
    for fields in (case.path_parameters, case.query, body):
        for name, ids in KNOWN.items():
            if name in fields and well_formed(fields[name], ids) and CHANCE.random() < 0.9:
                fields[name] = CHANCE.choice(ids)


def well_formed(value: object, ids: list[str]) -> bool:
    """Return whether a value has the form of an id: a generator puts in others to see them refused."""
    prefix, _, rest = ids[0].partition("_")
    return isinstance(value, str) and (not rest or (value.startswith(f"{prefix}_") and len(value) == len(ids[0])))


@schemathesis.hook  # pyright: ignore[reportUnknownMemberType] - its own type is open
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    if not case.path.startswith(("/v1/", "/openai/")) and type(failure).__name__ in OF_PAGES:
        return False
    if type(failure).__name__ == "RejectedPositiveData":
        return problem(response) not in BY_STATE
    if type(failure).__name__ == "AcceptedNegativeData":
        # Whatever it is, it is text; and what is longer than any body may be is refused for its size.
        return case.media_type != "text/markdown" and problem(response) != "request.size"
    if type(failure).__name__ in ("UnsupportedMethodResponse", "AllowHeaderMismatch"):
        return case.path not in BESIDE_IDS
    return True


def problem(response: Response) -> str:
    try:
        told = orjson.loads(response.content)
        return str(told.get("error", told)["code"])
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        return ""


@schemathesis.check
def what_belongs_to_others_is_not_there(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    asked = {str(value) for value in case.path_parameters.values()}
    assert not asked & FOREIGN or response.status_code >= 400, "the other company's was shown"
    assert not any(foreign.encode() in response.content for foreign in FOREIGN - asked), "it names what is not ours"
