"""The Node client of OpenAI's API talks to an agent as to a model, and so do the examples of the document."""

import re
import sys
from pathlib import Path

import orjson
from commands import SignIn, finished
from pydantic import BaseModel

from mandate.local.stack import Stack
from mandate.settings import ROOT

PROGRAMS = {"sh": ("bash",), "python": (sys.executable,), "js": ("node",)}
NODE = Path(__file__).with_name("node")
QUESTION = "What do we charge to put a new zip in a jacket?"


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Refused(BaseModel):
    name: str
    code: str


class Talk(BaseModel):
    chat: str
    usage: Usage
    deltas: str
    text: str
    previous: bool
    refused: Refused
    models: list[str]


async def test_the_node_client_streams_a_conversation(node_folder: Path, stack: Stack, client: SignIn) -> None:
    told = await finished(
        *("node", "talk.mjs"),
        cwd=node_folder,
        env={
            "QUESTION": QUESTION,
            "DOOR": f"{stack.url}/openai/v1",
            "TOKEN": (await client("tomas@alderfinch.example")).token,
        },
    )
    talk = Talk.model_validate(orjson.loads(told))
    assert "32 euros" in talk.chat
    assert talk.deltas == talk.text == talk.chat
    assert talk.usage.total_tokens == talk.usage.prompt_tokens + talk.usage.completion_tokens > 0
    assert talk.previous
    assert (talk.refused.name, talk.refused.code) == ("NotFoundError", "not_found")
    assert talk.models == ["support"]


async def test_the_examples_of_the_document_run_as_they_stand(node_folder: Path, stack: Stack, client: SignIn) -> None:
    _, _, section = (ROOT / "docs" / "api.md").read_text().partition("## OpenAI's clients")
    examples = re.findall(r"^```(sh|python|js)\n(.*?)^```$", section.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    assert len(examples) == 4
    env = {"QUESTION": QUESTION, "SANDER": (await client("sander@alderfinch.example")).token}
    for language, text in examples:
        file = node_folder / f"example.{language.replace('js', 'mjs')}"
        file.write_text(text.replace("http://127.0.0.1:8080", stack.url))
        told = await finished(*PROGRAMS[language], file.name, cwd=node_folder, env=env)
        assert b"euros" in told, text


def test_the_pin_names_a_version_and_its_digest_and_no_registry() -> None:
    text = (NODE / "package-lock.json").read_text()
    assert "resolved" not in text
    assert "://" not in text
    packages = orjson.loads(text)["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)
