"""Names that a tenant chose, as the log holds them: sealed under a key of the tenant, meaningless once that is gone.

Groups, collections, policies of their own and what hashes of them name: evidence needs them, and may not keep them for
ever. Sealing is deterministic (AES-SIV, RFC 5297), so that equal names stay equal.
"""

import base64
import hmac
import re
from collections.abc import Callable
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from core.bodies import ApprovalRequested, Body, DecisionMade, DocumentReceived, RecordChanged, RunOpened
from core.decisions import ActionKind, Decision, Fact
from core.events import Event
from core.ids import ID_PATTERN, PUBLISHER, id_of

KEY_BYTES = 32
_MARK = "~"
_MINTED = re.compile(rf"{ID_PATTERN}|{PUBLISHER}|")
_OUR_POLICIES = ("publisher/", "environment/")

_OUR_FACTS = frozenset(
    {
        "agent",
        "agent_collections",
        "agent_effects",
        "agent_id",
        "agent_identity",
        "agent_purpose",
        "agent_tools",
        "choice_integrity",
        "collection_integrity",
        "context_confidentiality",
        "context_integrity",
        "effect",
        "environment",
        "guards",
        "guards_silent",
        "injection_in",
        "on_behalf_of",
        "personal_data",
        "personal_data_read",
        "plan",
        "principal_kind",
        "secrets",
        "secrets_read",
        "switched_off",
        "tool",
        "untrusted_arguments",
        "untrusted_prose",
        "user_roles",
        "weekday",
    }
)
"""Facts whose words are ours; whatever else is text may be a tenant's."""


def is_sealed(name: str) -> bool:
    """Return whether a name is as the log holds it: where it was not opened, what it was is gone."""
    return name.startswith(_MARK)


class Names:
    """Seals and opens the names of one tenant; `key` is random, and the tenant's own."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @cached_property
    def _cipher(self) -> AESSIV:
        return AESSIV(self._key)

    def seal(self, name: str) -> str:
        """Return the name as the log may hold it; nothing stays nothing."""
        if not name:
            return name
        return _MARK + base64.urlsafe_b64encode(self._cipher.encrypt(name.encode(), None)).decode()

    def open(self, sealed: str) -> str:
        """Return the name; what was never sealed, or under another key, comes back as it is."""
        if not is_sealed(sealed):
            return sealed
        try:
            return self._cipher.decrypt(base64.urlsafe_b64decode(sealed[1:]), None).decode()
        except (InvalidTag, ValueError):
            return sealed

    def derived_id(self, prefix: str, *parts: str) -> str:
        """Return the one id that belongs to `parts`, which may be a person's words: nobody guesses them from it."""
        return id_of(prefix, hmac.digest(self._key, "\x1f".join(parts).encode(), "sha256"))


def renamed(event: Event, change: Callable[[str], str]) -> Event:
    """Return the event with every name in it that a tenant may have chosen changed by `change`."""
    body = _renamed(event.body, change)
    return event if body is event.body else event.model_copy(update={"body": body})


def _renamed(body: Body, change: Callable[[str], str]) -> Body:
    match body:
        case RunOpened():
            versions = body.versions.model_copy(update={"policy": change(body.versions.policy)})
            changes: dict[str, object] = {"groups": tuple(map(change, body.groups)), "versions": versions}
            return body.model_copy(update={**changes, "correlation": change(body.correlation)})
        case DecisionMade():
            target = change(body.target) if body.kind is ActionKind.INGEST else body.target
            return body.model_copy(update={"target": target, "decision": _decision(body.decision, change)})
        case ApprovalRequested():
            return body.model_copy(update={"policy_version": change(body.policy_version)})
        case DocumentReceived():
            readers = tuple(map(change, body.readers))
            return body.model_copy(update={"collection": change(body.collection), "readers": readers})
        case RecordChanged():
            key = body.key if _MINTED.fullmatch(body.key) else change(body.key)
            return body.model_copy(update={"key": key, "version": change(body.version)})
        case _:
            return body


def _decision(decision: Decision, change: Callable[[str], str]) -> Decision:
    theirs = decision.policies != () and not decision.policies[0].startswith(_OUR_POLICIES)
    changes: dict[str, object] = {
        "policies": tuple(p if p.startswith(_OUR_POLICIES) else change(p) for p in decision.policies),
        "reason": change(decision.reason) if theirs else decision.reason,
        "policy_version": change(decision.policy_version),
        "facts": {name: fact if name in _OUR_FACTS else _fact(fact, change) for name, fact in decision.facts.items()},
    }
    return decision.model_copy(update=changes)


def _fact(fact: Fact, change: Callable[[str], str]) -> Fact:
    if isinstance(fact, str):
        return change(fact)
    return tuple(map(change, fact)) if isinstance(fact, tuple) else fact
