"""The command line as people type it."""

import asyncio
import signal
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import aiohttp
import pytest
import typer
from commands import SignIn, mandate, rest, start_mandate, until
from typer.testing import CliRunner

from mandate.api import DocumentPage, RunPage, Search
from mandate.cli import app
from mandate.client import Client
from mandate.demo.host import Host
from mandate.local.stack import Stack
from mandate.turns import ended

ELIF = "elif@alderfinch.example"
NOOR = "noor@alderfinch.example"
MIA = "mia@alderfinch.example"

pytestmark = pytest.mark.timeout(180)


def commands(app: typer.Typer, *names: str) -> Iterator[tuple[str, ...]]:
    yield names
    for command in app.registered_commands:
        yield (*names, command.name or (command.callback and command.callback.__name__) or "")
    for group in app.registered_groups:
        if group.typer_instance:
            yield from commands(group.typer_instance, *names, group.name or "")


@pytest.mark.parametrize("names", list(commands(app)), ids=" ".join)
def test_every_command_says_what_it_does(names: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*names, "--help"])
    assert shown.exit_code == 0, shown.output
    about, _, _ = shown.output.partition("Options")
    assert len(about.partition("Usage:")[2].splitlines()[1:]) > 2


async def test_version_is_that_of_the_distribution() -> None:
    assert (await mandate("version")).output.strip() == version("mandate")


async def test_a_single_question_is_answered_with_its_sources_and_in_plain_text(stack: Stack) -> None:
    finished = await mandate(
        "chat", "--url", stack.url, "--user", ELIF, "What do we charge to put a new zip in a jacket?"
    )
    assert finished.code == 0, finished.output
    assert "You are talking to an AI system" in finished.output
    assert "  [1] " in finished.output
    assert "\x1b" not in finished.output


async def test_what_was_asked_in_one_terminal_is_approved_in_another(stack: Stack) -> None:
    asked = await mandate(
        "chat", "--url", stack.url, "--user", ELIF, "Please refund 1.20 EUR for order A-20424 because a peg is missing."
    )
    assert asked.code == 0, asked.output
    assert "Waits for a colleague's approval" in asked.output
    decided = await mandate(
        "chat", "--url", stack.url, "--user", NOOR, typed="/approvals\na\nOne peg costs that much.\n/quit\n"
    )
    assert decided.code == 0, decided.output
    assert "A-20424" in decided.output
    assert "  approved" in decided.output


async def test_an_answer_goes_on_where_it_broke_when_the_product_comes_back(
    stack: Stack, session: aiohttp.ClientSession
) -> None:
    host = Host(stack, session)
    async with host.fault("stall-mid=3,only=chat"):
        chat = await start_mandate(
            "chat", "--url", stack.url, "--user", ELIF, "Can we post six gas canisters to somebody in Germany?"
        )
        before = await until(chat, b"searched the documents")
        await host.cut_power()
    after = await rest(chat)
    assert chat.returncode == 0, before + after
    assert "  [1] " in after, before + after


async def test_ctrl_c_cancels_the_answer_that_is_being_written(
    stack: Stack, session: aiohttp.ClientSession, client: SignIn
) -> None:
    question = "How much wind can the two-person tent take?"
    async with Host(stack, session).fault("stall-mid=30,only=chat"):
        chat = await start_mandate("chat", "--url", stack.url, "--user", ELIF, question)
        await until(chat, b"searched the documents")
        chat.send_signal(signal.SIGINT)
        output = await rest(chat)
    assert chat.returncode == 130, output
    elif_ = await client(ELIF)
    async with asyncio.timeout(20):
        run = await run_of(elif_, question)
        assert (await ended(elif_, run, seconds=20)).state == "cancelled", output


async def test_somebody_who_does_not_exist_is_told_who_does(stack: Stack) -> None:
    finished = await mandate("chat", "--url", stack.url, "--user", "nobody", "Hello")
    assert finished.code == 1
    assert ELIF in finished.output


async def test_files_are_taken_in_once_and_can_be_found(stack: Stack, client: SignIn, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "kayaks.md").write_text("# Hiring a kayak\n\nA kayak costs 41 euros a day, paddle included.\n")
    (tmp_path / "deep" / "lakes.txt").write_text("The lake near Zwolle may be paddled from May to September.\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "huts.HTML").write_text("<html><title>Huts</title><p>The hut on the ridge sleeps twelve.</p></html>")
    command = ("knowledge", "add", str(tmp_path), "--collection", "inbox", "--user", MIA, "--url", stack.url)
    first, second = await mandate(*command), await mandate(*command)
    assert (first.code, first.output.splitlines()[-1]) == (0, "3 added, 0 unchanged, 0 failed"), first.output
    assert (second.code, second.output.splitlines()[-1]) == (0, "0 added, 3 unchanged, 0 failed"), second.output
    found = await (await client(ELIF)).post("/v1/search", {"text": "price of a kayak for a day"})
    headings = [item.heading for item in Search.model_validate(found).items]
    assert headings[0].startswith("Hiring a kayak")
    mia = await client(MIA)
    page = DocumentPage.model_validate(await mia.get("/v1/documents?collection=inbox&limit=100"))
    hut = next(item.document for item in page.items if item.title == "Huts")
    assert (await mia.ask("DELETE", f"/v1/documents/{hut}")).status == 204
    third = await mandate(*command)
    assert (third.code, third.output.splitlines()[-1]) == (0, "1 added, 2 unchanged, 0 failed"), third.output


async def test_a_file_that_cannot_be_taken_in_is_named_and_the_others_are(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "bad.pdf").write_bytes(b"caf\xe9")
    (tmp_path / "good.txt").write_text("A tarp is not a tent.")
    finished = await mandate(
        "knowledge", "add", str(tmp_path), "--collection", "inbox", "--user", MIA, "--url", stack.url
    )
    assert finished.code == 1
    assert "bad.pdf: The file is not what it is said to be" in finished.output
    assert "1 added, 0 unchanged, 1 failed" in finished.output


async def test_evidence_of_a_running_product_verifies(stack: Stack) -> None:
    finished = await mandate("evidence", "verify", "--folder", str(stack.folder))
    assert finished.code == 0, finished.output
    assert "0 broken chains" in finished.output


async def test_evidence_that_is_not_there_does_not_verify(tmp_path: Path) -> None:
    assert (await mandate("evidence", "verify", "--folder", str(tmp_path))).code == 1


async def run_of(client: Client, message: str) -> str:
    """Return the run that a message began, once the list of runs, which follows the log, has it."""
    while True:
        for run in RunPage.model_validate(await client.get("/v1/runs?limit=3")).items:
            if (await client.get(f"/v1/runs/{run.run}"))["message"] == message:
                return run.run
        await asyncio.sleep(0.1)
