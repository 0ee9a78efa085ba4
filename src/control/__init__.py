"""The control plane: tenants and identities, policies and the gate, agents, budgets, evidence of access."""

from control import contexts
from control.access import APPENDS_PER_SECOND, MANY, AccessLog, log_run
from control.agents import AgentManifest, Prompt, load_agents
from control.app import create_app
from control.budgets import Budgets, Reservation
from control.callers import ADMIN_ROLE, NOBODY, Caller, ControlServices, ServiceCaller, UserCaller
from control.calls import AssertedCall, Calls
from control.directory import Binding, Directory, groups_now, member_name
from control.erasures import Erasures
from control.gate import (
    ActionRequest,
    AgentFacts,
    Approval,
    ApprovalNeeded,
    Gate,
    Granted,
    Refused,
    Ruling,
    Situation,
    Verdict,
)
from control.governance import ClassRule, Governance, load_governance
from control.keys import StoreKeys
from control.policy import Question, Ruleset
from control.policy_store import Policies
from control.policy_text import Layer, Rule, parse_layer, publisher_text
from control.records import (
    PERSONAL_ACCOUNTS,
    Amount,
    BindingRecord,
    BudgetRecord,
    ErasureReason,
    ErasureRecord,
    MemberRecord,
    PersonRecord,
    PolicyRecord,
    ReceiptLine,
    ServiceKeyRecord,
    SessionRecord,
    TenantRecord,
    binding_key,
)
from control.sessions import Session, SessionLine, Sessions, csrf_token

__all__ = [
    "ADMIN_ROLE",
    "APPENDS_PER_SECOND",
    "MANY",
    "NOBODY",
    "PERSONAL_ACCOUNTS",
    "AccessLog",
    "ActionRequest",
    "AgentFacts",
    "AgentManifest",
    "Amount",
    "Approval",
    "ApprovalNeeded",
    "AssertedCall",
    "Binding",
    "BindingRecord",
    "BudgetRecord",
    "Budgets",
    "Caller",
    "Calls",
    "ClassRule",
    "ControlServices",
    "Directory",
    "ErasureReason",
    "ErasureRecord",
    "Erasures",
    "Gate",
    "Governance",
    "Granted",
    "Layer",
    "MemberRecord",
    "PersonRecord",
    "Policies",
    "PolicyRecord",
    "Prompt",
    "Question",
    "ReceiptLine",
    "Refused",
    "Reservation",
    "Rule",
    "Ruleset",
    "Ruling",
    "ServiceCaller",
    "ServiceKeyRecord",
    "Session",
    "SessionLine",
    "SessionRecord",
    "Sessions",
    "Situation",
    "StoreKeys",
    "TenantRecord",
    "UserCaller",
    "Verdict",
    "binding_key",
    "contexts",
    "create_app",
    "csrf_token",
    "groups_now",
    "load_agents",
    "load_governance",
    "log_run",
    "member_name",
    "parse_layer",
    "publisher_text",
]
