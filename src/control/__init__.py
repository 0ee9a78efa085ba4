"""The control plane: tenants and identities, policies and the gate, agents, budgets, evidence of access."""

from control import contexts
from control.access import APPENDS_PER_SECOND, MANY, AccessLog, log_run
from control.agents import AgentManifest, Prompt, load_agents
from control.app import create_app
from control.asking import NOT_CHECKED, ActionRequest, AgentFacts, Approval, Checked, Situation, Used
from control.budgets import Budgets, Reservation
from control.callers import (
    ADMIN_ROLE,
    NOBODY,
    Caller,
    ControlServices,
    MarketplaceServices,
    ServiceCaller,
    UserCaller,
)
from control.calls import AssertedCall, Calls
from control.directory import Binding, Directory, groups_now, member_name
from control.erasures import Erasures
from control.gate import ApprovalNeeded, Gate, Granted, Refused, Ruling, Verdict
from control.governance import ClassRule, Governance, load_governance
from control.keys import StoreKeys
from control.marketplace import (
    DeliveryRecord,
    Desk,
    LandingRecord,
    Landings,
    OpenDelivery,
    SubscriptionRecord,
    Subscriptions,
    Terms,
    WebhookCallers,
)
from control.money import Money
from control.ordinary_day import ordinary_facts
from control.policy import Question, Ruleset
from control.policy_changes import Answered, Changed, ChangedGroup, Replayed
from control.policy_fact_words import FACT_WORDS, FactWords
from control.policy_facts import FactType, facts_of
from control.policy_replay import Candidate, Recorded, Replay, decide_again, recorded_in
from control.policy_store import NewPolicies, Policies
from control.policy_text import Layer, PolicyProblem, Rule, check_layer, parse_layer, publisher_text
from control.policy_try import AnsweredByHand, AskedByHand, ask_by_hand, replay_recent
from control.policy_words import ACTION_WORDS, RuleWords, words_of
from control.principals import (
    MOST_DAYS,
    IdentityState,
    Principals,
    is_revoked,
    scope_of,
    sponsor_gone,
    state_of,
)
from control.records import (
    PERSONAL_ACCOUNTS,
    POLICY_KEY,
    Amount,
    BindingRecord,
    BudgetRecord,
    ErasureReason,
    ErasureRecord,
    MemberRecord,
    MovedRecord,
    PersonRecord,
    PolicyRecord,
    PolicyVersion,
    ReceiptLine,
    RulesetRecord,
    ServiceKeyRecord,
    SessionRecord,
    TenantRecord,
    binding_key,
    owner_mark,
)
from control.register import Claim, ClaimState
from control.sessions import Session, SessionLine, Sessions, csrf_token
from control.switch_records import AgentScope, Sponsorship, SwitchesRecord
from control.switches import Capability, Switches, SwitchTold, changed

__all__ = [
    "ACTION_WORDS",
    "ADMIN_ROLE",
    "APPENDS_PER_SECOND",
    "FACT_WORDS",
    "MANY",
    "MOST_DAYS",
    "NOBODY",
    "NOT_CHECKED",
    "PERSONAL_ACCOUNTS",
    "POLICY_KEY",
    "AccessLog",
    "ActionRequest",
    "AgentFacts",
    "AgentManifest",
    "AgentScope",
    "Amount",
    "Answered",
    "AnsweredByHand",
    "Approval",
    "ApprovalNeeded",
    "AskedByHand",
    "AssertedCall",
    "Binding",
    "BindingRecord",
    "BudgetRecord",
    "Budgets",
    "Caller",
    "Calls",
    "Candidate",
    "Capability",
    "Changed",
    "ChangedGroup",
    "Checked",
    "Claim",
    "ClaimState",
    "ClassRule",
    "ControlServices",
    "DeliveryRecord",
    "Desk",
    "Directory",
    "ErasureReason",
    "ErasureRecord",
    "Erasures",
    "FactType",
    "FactWords",
    "Gate",
    "Governance",
    "Granted",
    "IdentityState",
    "LandingRecord",
    "Landings",
    "Layer",
    "MarketplaceServices",
    "MemberRecord",
    "Money",
    "MovedRecord",
    "NewPolicies",
    "OpenDelivery",
    "PersonRecord",
    "Policies",
    "PolicyProblem",
    "PolicyRecord",
    "PolicyVersion",
    "Principals",
    "Prompt",
    "Question",
    "ReceiptLine",
    "Recorded",
    "Refused",
    "Replay",
    "Replayed",
    "Reservation",
    "Rule",
    "RuleWords",
    "Ruleset",
    "RulesetRecord",
    "Ruling",
    "ServiceCaller",
    "ServiceKeyRecord",
    "Session",
    "SessionLine",
    "SessionRecord",
    "Sessions",
    "Situation",
    "Sponsorship",
    "StoreKeys",
    "SubscriptionRecord",
    "Subscriptions",
    "SwitchTold",
    "Switches",
    "SwitchesRecord",
    "TenantRecord",
    "Terms",
    "Used",
    "UserCaller",
    "Verdict",
    "WebhookCallers",
    "ask_by_hand",
    "binding_key",
    "changed",
    "check_layer",
    "contexts",
    "create_app",
    "csrf_token",
    "decide_again",
    "facts_of",
    "groups_now",
    "is_revoked",
    "load_agents",
    "load_governance",
    "log_run",
    "member_name",
    "ordinary_facts",
    "owner_mark",
    "parse_layer",
    "publisher_text",
    "recorded_in",
    "replay_recent",
    "scope_of",
    "sponsor_gone",
    "state_of",
    "words_of",
]
