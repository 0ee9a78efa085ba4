"""The facts of an ordinary day: an ordinary member, in time and within all limits."""

from control.policy_facts import facts_of
from core import ActionKind, Facts

_NOTHING_MOVED: Facts = {"moved_by_user_cents": 0, "moved_by_tenant_cents": 0}


def ordinary_facts(kind: ActionKind, own: Facts) -> Facts:
    """Return all facts that an action must have: its `own`, as far as the schema knows them, and else the day's."""
    known = {**_DAY, **(_NOTHING_MOVED if "amount_cents" in own else {}), **own}
    return {name: known[name] for name, type_ in facts_of(kind).items() if type_.required or name in known}


_DAY: Facts = {
    "environment": "prod",
    "entitled": True,
    "budget_left_micros": 100_000_000,
    "same_tenant": True,
    "user_roles": ("user",),
    "user_groups": (),
    "principal_kind": "user",
    "context_integrity": "trusted",
    "context_confidentiality": "internal",
    "confidentiality_rank": 1,
    "switched_off": (),
    "change_freeze": False,
    "weekday": "monday",
    "hour": 10,
    "seconds_in_run": 1,
    "seconds_limit": 600,
    "step": 1,
    "step_limit": 10,
    "tokens_in_run": 1000,
    "token_limit": 1_000_000,
    "cost_in_run_micros": 1000,
    "cost_limit_micros": 1_000_000,
    "confidentiality_ceiling": 2,
    "effect": "read",
    "reversible": True,
    "egress": False,
    "choice_integrity": "trusted",
    "untrusted_arguments": (),
    "untrusted_prose": (),
    "arguments_rank": 1,
    "tool_ceiling": 2,
    "tool_named": True,
    "injection_in": (),
    "secrets_read": (),
    "personal_data_read": (),
    "guards": ("local",),
    "guards_silent": (),
    "secrets": (),
    "personal_data": (),
    "calls_in_run": 0,
    "calls_limit": 20,
    "calls_in_hour": 10,
    "collection_integrity": "untrusted",
    "by_admin": False,
    "plan": "team",
    "on_behalf_of_user": True,
    "on_behalf_of": "prn_0123456789abcdefghjkmnpqrs",
    "agent": "support",
    "agent_tools": (),
    "agent_id": "agt_0123456789abcdefghjkmnpqrs",
    "agent_identity": "active",
    "agent_purpose": "staff_support",
    "agent_effects": ("external", "irreversible", "read", "write"),
    "agent_collections": (),
    "collections": (),
    "collection": "",
    "tool": "",
}
