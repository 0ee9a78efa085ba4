"""Agents are data: what a manifest must say, and how a broken one stops the program."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from control import AgentManifest, load_agents
from core import digest
from core.errors import Defect

ROOT = Path(__file__).parents[2]
MANIFEST: dict[str, Any] = {
    "name": "helper",
    "version": "1.2.0",
    "title": "Helper",
    "owner": {"publisher": "Product team", "customer": "Owner"},
    "identity": {"purpose": "helping", "valid_until": "2099-01-01"},
    "purpose": "Helps.",
    "intended_use": ["Answering"],
    "prohibited_use": ["Deciding"],
    "data": {"collections": ["manuals"], "confidentiality_ceiling": "internal"},
    "tools": ["lookup_order"],
    "effects": ["read"],
    "model": "chat",
    "prompts": {"system": "system.md"},
    "retrieval": {"passages": 6},
    "limits": {
        "steps": 8,
        "tool_calls": 0,
        "tokens": 1000,
        "output_tokens": 100,
        "cost_micros": 1000,
        "seconds": 60,
    },
    "history": {"turns": 0},
    "disclosure": "You talk to a machine.",
    "objection": "Ask a person.",
}


CLAIM = {
    "id": "helper-answers",
    "claim": "It answers.",
    "metric": "Answers",
    "unit": "answers",
    "at_least": 1,
    "evidence": "tests/contract/test_control_agents.py",
    "review_by": "2099-01-01",
    "switches_off": "agent",
}
REGISTER = {"known_errors": [{"name": "Wrong", "what": "It can be."}], "claims": [CLAIM]}


def write(folder: Path, manifest: dict[str, Any] | str = MANIFEST, prompt: str | None = "Be brief.") -> Path:
    agent = folder / "helper"
    agent.mkdir(exist_ok=True)
    text = manifest if isinstance(manifest, str) else yaml.safe_dump(manifest)
    (agent / "agent.yaml").write_text(text, encoding="utf-8")
    (agent / "register.yaml").write_text(yaml.safe_dump(REGISTER), encoding="utf-8")
    if prompt is not None:
        (agent / "system.md").write_text(prompt, encoding="utf-8")
    return folder


def one(folder: Path) -> AgentManifest:
    return load_agents(folder)["helper"]


def test_an_agent_comes_with_its_prompt_and_the_hash_that_events_name(tmp_path: Path) -> None:
    agent = one(write(tmp_path))
    assert (agent.system.text, agent.prompts) == ("Be brief.", {"system.md": digest(b"Be brief.")})
    assert agent.limits.tool_calls == 0


def test_the_digest_covers_manifest_and_prompt(tmp_path: Path) -> None:
    digests = {
        one(write(tmp_path)).digest,
        one(write(tmp_path, prompt="Be long.")).digest,
        one(write(tmp_path, {**MANIFEST, "tools": []})).digest,
    }
    assert len(digests) == 3
    assert one(write(tmp_path)).digest in digests


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"toools": []}, "toools"),
        ({"name": "other"}, "name"),
        ({"version": "1"}, "version"),
        ({"intended_use": []}, "intended_use"),
        ({"limits": {**MANIFEST["limits"], "steps": 0}}, "limits"),
        ({"prompts": {"system": "../../secret.md"}}, "prompts.system"),
        ({"data": {"collections": [], "confidentiality_ceiling": "secret"}}, "data.confidentiality_ceiling"),
        ({"disclosure": " "}, "disclosure"),
    ],
)
def test_a_broken_manifest_stops_the_program_and_names_the_key(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(Defect) as refused:
        load_agents(write(tmp_path, {**MANIFEST, **change}))
    assert refused.value.code == "defect.agent"
    assert f"{named}: " in refused.value.message
    assert "helper/agent.yaml" in refused.value.message


@pytest.mark.parametrize("missing", MANIFEST.keys())
def test_every_key_is_needed(tmp_path: Path, missing: str) -> None:
    with pytest.raises(Defect, match=missing):
        load_agents(write(tmp_path, {key: value for key, value in MANIFEST.items() if key != missing}))


@pytest.mark.parametrize(
    ("manifest", "prompt"), [("a: [", "x"), ("- 1", "x"), (MANIFEST, None), (MANIFEST, " "), ("x" * 200_000, "x")]
)
def test_files_that_cannot_be_used_stop_the_program(
    tmp_path: Path, manifest: dict[str, Any] | str, prompt: str | None
) -> None:
    with pytest.raises(Defect):
        load_agents(write(tmp_path, manifest, prompt))


def test_a_folder_without_agents_stops_the_program(tmp_path: Path) -> None:
    with pytest.raises(Defect):
        load_agents(tmp_path)


def test_the_agents_that_ship_can_be_loaded() -> None:
    assert load_agents(ROOT / "agents")["support"].tools


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": "other-answers"}, "helper-"),
        ({"switches_off": "tool/open_vault"}, "helper-answers"),
        ({"switches_off": "everything"}, "switches_off"),
        ({"at_most": 3}, "one of the two"),
        ({"at_least": None}, "one of the two"),
        ({"review_by": "soon"}, "review_by"),
        ({"evidence": " "}, "evidence"),
    ],
)
def test_a_claim_that_says_too_little_stops_the_program(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    folder = write(tmp_path)
    changed = {**REGISTER, "claims": [{**CLAIM, **change}]}
    (folder / "helper" / "register.yaml").write_text(yaml.safe_dump(changed))
    with pytest.raises(Defect, match=named):
        load_agents(folder)


def test_an_agent_without_a_register_stops_the_program(tmp_path: Path) -> None:
    (write(tmp_path) / "helper" / "register.yaml").unlink()
    with pytest.raises(Defect, match="register"):
        load_agents(tmp_path)


def test_whatever_is_claimed_of_the_shipped_agents_has_its_evidence_here() -> None:
    root = Path(__file__).parents[2]
    claims = [claim for agent in load_agents(root / "agents").values() for claim in agent.claimed.claims]
    assert claims
    assert [claim.id for claim in claims if not (root / claim.evidence).is_file()] == []
