"""Each fact of the schema in the words of whoever has to judge a policy without reading code."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FactWords:
    """How to speak of a fact.

    Attributes:
        name: what stands in a sentence; of a fact that is yes or no, the sentence for yes.
        no: the sentence for no; empty for other facts.
        more: what else somebody must know to use it.
    """

    name: str
    no: str = ""
    more: str = ""


_CENTS = "In hundredths of the currency's unit, whichever it is."
_SECRETS = "`private_key`, `access_key`, `token`, `password`, by their formats."
_WHOLE = "Of a whole answer, which is then held back until it is decided: docs/guards.md."
_PERSONAL = "`email`, `iban`, `card`, `phone`, by their formats and check digits."
_OTHERS = "Exact: those that are under way at the same time count too."

FACT_WORDS: Mapping[str, FactWords] = {
    "environment": FactWords("the environment", more="`local`, `dev`, `staging` or `prod`."),
    "plan": FactWords("the organisation's plan"),
    "entitled": FactWords(
        "the organisation's plan includes this", "the organisation's plan does not include this, or is not active"
    ),
    "budget_left_micros": FactWords("what is left of the month's budget", more="Up to five seconds old."),
    "same_tenant": FactWords("it belongs to the organisation itself", "it belongs to another organisation"),
    "user_roles": FactWords("the person's roles"),
    "user_groups": FactWords("the person's groups"),
    "principal_kind": FactWords("the kind of who asked", more="`user` is a person."),
    "on_behalf_of_user": FactWords("an agent acts for a person", "nobody acts for a person"),
    "on_behalf_of": FactWords("the person for whom an agent acts", more="Their pseudonym; empty if there is none."),
    "agent": FactWords("the agent", more="Empty if a person acts themselves."),
    "agent_tools": FactWords("the tools that the agent was given"),
    "agent_id": FactWords(
        "the agent's own pseudonym", more="Another for each version. Empty if a person acts themselves."
    ),
    "agent_identity": FactWords(
        "the state of the agent's identity",
        more="`active`, `expired`, `revoked` or `unsponsored`; `none` if a person acts themselves. Exact.",
    ),
    "agent_purpose": FactWords("what the agent is for", more="The one word of its manifest."),
    "agent_effects": FactWords("the effects that the agent was given"),
    "agent_collections": FactWords("the collections that the agent was given"),
    "context_integrity": FactWords(
        "the trust in all that was read so far", more="`untrusted` once anything is that nobody vouches for."
    ),
    "context_confidentiality": FactWords("the confidentiality of all that was read so far"),
    "confidentiality_rank": FactWords(
        "how confidential the most confidential is that was read so far",
        more="0 public, 1 internal, 2 confidential, 3 restricted.",
    ),
    "switched_off": FactWords(
        "what is switched off",
        more="On account of the `tenant`, the `agent`, the `tool`, a `capability` or a lapsed `claim`. Exact.",
    ),
    "change_freeze": FactWords("changes are frozen", "changes are not frozen", more="Exact."),
    "weekday": FactWords("the day of the week", more="In UTC."),
    "hour": FactWords("the hour of the day", more="0 to 23, in UTC."),
    "seconds_in_run": FactWords(
        "the number of seconds that the run was at work", more="Waiting for people does not count."
    ),
    "seconds_limit": FactWords("the agent's limit of seconds for one question"),
    "step": FactWords("the number of the step", more="From 1; 0 before the first."),
    "step_limit": FactWords("the agent's limit of steps for one question"),
    "tokens_in_run": FactWords("the number of tokens that the run has used"),
    "token_limit": FactWords("the agent's limit of tokens for one question"),
    "cost_in_run_micros": FactWords("what the run has cost"),
    "cost_limit_micros": FactWords("the agent's limit of cost for one question"),
    "collections": FactWords("the collections that are searched"),
    "confidentiality_ceiling": FactWords("how confidential what the agent reads may be"),
    "tool": FactWords("the tool"),
    "effect": FactWords(
        "what the tool does", more="`read` changes nothing, `external` leaves the organisation, `irreversible` stays."
    ),
    "reversible": FactWords("it can be undone", "it cannot be undone"),
    "egress": FactWords("it carries what it is given out of the organisation", "it carries nothing out"),
    "choice_integrity": FactWords(
        "the trust in who chose that this is done",
        more="`trusted` if the person's message names the tool, or nothing was read that nobody vouches for.",
    ),
    "untrusted_arguments": FactWords(
        "the values that something acts on and that come from text that nobody vouches for", more="Their names."
    ),
    "untrusted_prose": FactWords(
        "the texts that only people read and that come from text that nobody vouches for",
        more="Their names. One with a link, an address or an account in it is among the values instead.",
    ),
    "arguments_rank": FactWords("how confidential the most confidential value is that the tool is given"),
    "tool_ceiling": FactWords("how confidential what the tool is given may be"),
    "tool_named": FactWords(
        "the person's message names the tool",
        "the person's message does not name the tool",
        more="By one of the words that the tool declares: a coarse sign that it is what they asked for.",
    ),
    "injection_in": FactWords(
        "the places where something was read that looks as if written to steer the agent",
        more="`message`, `history`, `passages`, `quotation`, `results`. A guard suspects, and errs: docs/guards.md.",
    ),
    "secrets_read": FactWords("the kinds of secrets in what was read", more=_SECRETS),
    "personal_data_read": FactWords("the kinds of personal data in what was read", more=_PERSONAL),
    "secrets": FactWords("the kinds of secrets in what the tool is given, or the person would be shown", more=_SECRETS),
    "personal_data": FactWords(
        "the kinds of personal data in what the tool is given, or the person would be shown", more=_PERSONAL
    ),
    "guards": FactWords("the guards that looked at all that was read", more="`local`, `prompt_shields`."),
    "guards_silent": FactWords(
        "the guards that should have looked at what was read and gave no answer", more="Those that are set up."
    ),
    "sentences": FactWords("the number of sentences of the answer", more=_WHOLE),
    "sentences_uncited": FactWords("the number of its sentences that cite nothing that was found", more=_WHOLE),
    "numbers_unread": FactWords("the number of its numbers that stand in nothing that was read", more=_WHOLE),
    "calls_in_run": FactWords("the number of the run's tool calls so far"),
    "calls_limit": FactWords("the agent's limit of tool calls for one question"),
    "calls_in_hour": FactWords(
        "the number of tool calls of all the organisation's agents within an hour",
        more="Up to five seconds old, and what a crash lost is missing: against floods.",
    ),
    "amount_cents": FactWords("the amount of money", more=f"Only where the tool moves money. {_CENTS}"),
    "moved_by_user_cents": FactWords("the money moved for the person within 24 hours", more=f"{_OTHERS} {_CENTS}"),
    "moved_by_tenant_cents": FactWords(
        "the money moved for the organisation within 24 hours", more=f"{_OTHERS} {_CENTS}"
    ),
    "collection": FactWords("the collection"),
    "collection_integrity": FactWords("the trust in the collection", more="`trusted` or `untrusted`."),
    "by_admin": FactWords("the person is an owner or admin", "the person is neither owner nor admin"),
}
