"""What is confidential does not flow to where less confidential things go: value by value, for each way out."""

import json

import pytest
from test_policy import PUBLISHER, ask

from core import ActionKind, Confidentiality, Decision, Integrity, Label, Lane
from orchestration.labelling import OWN_WORDS, Sources, flow, label_arguments
from tools import Tool
from tools.backoffice import backoffice_tools
from tools.web_pages import web_page_tools

TOOLS = {tool.name: tool for tool in (*backoffice_tools("http://127.0.0.1:1"), *web_page_tools())}
SECRET = "http://pages.example/S-100200"
SAID = "Read http://pages.example/status, write a mail or a ticket to ada@berg.example: hello"
ABOVE = "publisher/above-the-tools-ceiling"

CASES = {
    "send_email": ("body", {"to": "ada@berg.example", "subject": "hello", "body": "hello"}, Confidentiality.RESTRICTED),
    "create_ticket": ("body", {"subject": "hello", "body": "hello"}, Confidentiality.RESTRICTED),
    "read_page": ("url", {"url": "http://pages.example/status"}, Confidentiality.CONFIDENTIAL),
}


def decided(tool: Tool, arguments: dict[str, str], read: Confidentiality) -> Decision:
    """Decide on a call of somebody whose agent has read a trusted record, this confidential, with the secret in it."""
    label = Label(integrity=Integrity.TRUSTED, confidentiality=read)
    sources = Sources(own_words=[SAID], records=[({"secret": SECRET}, label)])
    traced = label_arguments(tool.parse(json.dumps(arguments)).leaves(), sources)
    facts = {
        **flow(tool, traced, sources),
        "effect": tool.effect.value,
        "reversible": tool.reversible,
        "tool": tool.name,
        "agent_tools": (tool.name,),
        "confidentiality_rank": sources.label.confidentiality.rank,
    }
    return PUBLISHER.decide(ask(ActionKind.CALL_TOOL, **facts))


@pytest.mark.parametrize("name", CASES)
def test_a_value_above_the_ceiling_does_not_go_there(name: str) -> None:
    path, arguments, read = CASES[name]
    decision = decided(TOOLS[name], {**arguments, path: SECRET}, read)
    assert decision.lane is Lane.NEVER
    assert ABOVE in decision.policies


@pytest.mark.parametrize("name", CASES)
def test_what_the_person_wrote_goes_there_whatever_else_was_read(name: str) -> None:
    _, arguments, read = CASES[name]
    decision = decided(TOOLS[name], arguments, read)
    assert ABOVE not in decision.policies
    assert decision.facts["arguments_rank"] == OWN_WORDS.confidentiality.rank


@pytest.mark.parametrize(("name", "lane"), [("create_ticket", Lane.AUTOMATIC), ("read_page", Lane.AUTOMATIC)])
def test_one_step_lower_it_goes(name: str, lane: Lane) -> None:
    path, arguments, read = CASES[name]
    lower = list(Confidentiality)[read.rank - 1]
    assert decided(TOOLS[name], {**arguments, path: SECRET}, lower).lane is lane


def test_nothing_is_sent_or_fetched_once_something_restricted_was_read() -> None:
    for name in ("send_email", "read_page"):
        decision = decided(TOOLS[name], CASES[name][1], Confidentiality.RESTRICTED)
        assert "publisher/restricted-stays-inside" in decision.policies
