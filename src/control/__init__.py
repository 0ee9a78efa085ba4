"""The control plane: tenants and identities, policies and the gate, agents, budgets, evidence of access."""

from control import contexts
from control.access import APPENDS_PER_SECOND, MANY, AccessLog, log_run
from control.agents import AgentManifest, Prompt, load_agents
from control.app import create_app
from control.asking import NOT_CHECKED, ActionRequest, AgentFacts, Approval, Checked, Situation, Used
from control.budgets import Budgets, Reservation
from control.callers import ADMIN_ROLE, NOBODY, Caller, ControlServices, ServiceCaller, UserCaller
from control.calls import AssertedCall, Calls
from control.directory import Binding, Directory, groups_now, member_name
from control.erasures import Erasures
from control.gate import ApprovalNeeded, Gate, Granted, Refused, Ruling, Verdict
from control.governance import ClassRule, Governance, load_governance
from control.keys import StoreKeys
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
    SwitchesRecord,
    TenantRecord,
    binding_key,
)
from control.sessions import Session, SessionLine, Sessions, csrf_token
from control.switches import Capability, Switches, SwitchTold

__all__ = [
    "ACTION_WORDS",
    "ADMIN_ROLE",
    "APPENDS_PER_SECOND",
    "FACT_WORDS",
    "MANY",
    "NOBODY",
    "NOT_CHECKED",
    "PERSONAL_ACCOUNTS",
    "POLICY_KEY",
    "AccessLog",
    "ActionRequest",
    "AgentFacts",
    "AgentManifest",
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
    "ClassRule",
    "ControlServices",
    "Directory",
    "ErasureReason",
    "ErasureRecord",
    "Erasures",
    "FactType",
    "FactWords",
    "Gate",
    "Governance",
    "Granted",
    "Layer",
    "MemberRecord",
    "Money",
    "MovedRecord",
    "NewPolicies",
    "PersonRecord",
    "Policies",
    "PolicyProblem",
    "PolicyRecord",
    "PolicyVersion",
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
    "StoreKeys",
    "SwitchTold",
    "Switches",
    "SwitchesRecord",
    "TenantRecord",
    "Used",
    "UserCaller",
    "Verdict",
    "ask_by_hand",
    "binding_key",
    "check_layer",
    "contexts",
    "create_app",
    "csrf_token",
    "decide_again",
    "facts_of",
    "groups_now",
    "load_agents",
    "load_governance",
    "log_run",
    "member_name",
    "ordinary_facts",
    "parse_layer",
    "publisher_text",
    "recorded_in",
    "replay_recent",
    "words_of",
]
