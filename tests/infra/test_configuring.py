"""`mandate configure`: the job of a stamp is run as it is deployed, with other arguments, and waited for."""

from typing import Any

import pytest
from infra_files import of_type
from resource_manager import ROOT as SCOPE
from resource_manager import Subscription, resource_manager
from test_workflows import known_options
from typer.testing import CliRunner

from core.errors import NotFound
from mandate.cli import app
from mandate.infra.configuring import configure

STAMP = "mandate-prod-weu"


def deployed() -> dict[str, Any]:
    """The job as the template has it, and what Azure adds when it is asked."""
    (job,) = (one for one in of_type("prod", "Microsoft.App/jobs") if one["name"] == "configuration")
    (container,) = job["properties"]["template"]["containers"]
    resources = {**container["resources"], "ephemeralStorage": "2Gi"}
    added: dict[str, Any] = {**container, "resources": resources, "imageType": "ContainerImage", "probes": []}
    return {"name": "configuration", "properties": {"template": {"containers": [added]}}}


async def test_the_job_keeps_its_image_and_settings_and_gets_what_it_shall_do() -> None:
    subscription = Subscription(job=deployed(), states=["Processing", "Running", "Succeeded"])
    (before,) = subscription.job["properties"]["template"]["containers"]
    async with resource_manager(subscription) as arm:
        assert await configure(arm, STAMP, ["--candidate-to=early"]) == 0
    ((sent,),) = (one["containers"] for one in subscription.sent)
    assert sent["args"] == ["--candidate-to=early"]
    assert {name: sent[name] for name in ("name", "image", "command", "env")} == {
        name: before[name] for name in ("name", "image", "command", "env")
    }
    assert "MANDATE_CONFIGURATION" in {setting["name"] for setting in sent["env"]}
    assert sent.keys() == {"name", "image", "command", "env", "resources", "args"}
    assert sent["resources"].keys() == {"cpu", "memory"}
    job = f"{SCOPE}/resourceGroups/{STAMP}/providers/Microsoft.App/jobs/configuration"
    assert [path for _, path, _ in subscription.asked] == [
        job,
        f"{job}/start",
        *[f"{job}/executions/configuration-1"] * 3,
    ]


async def test_a_job_that_fails_is_told_and_a_stamp_without_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    async with resource_manager(Subscription(job=deployed(), states=["Failed"])) as arm:
        assert await configure(arm, STAMP, []) == 1
    assert capsys.readouterr().out == f"{STAMP}: configuration-1 Failed\n"
    async with resource_manager(Subscription()) as arm:
        with pytest.raises(NotFound):
            await configure(arm, STAMP, [])


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ([], []),
        (["--candidate-to", "nobody"], ["--candidate-to=nobody"]),
        (["--candidate-to", "internal", "--urgent"], ["--candidate-to=internal", "--urgent"]),
    ],
)
def test_the_command_says_to_each_stamp_what_the_job_understands(
    arguments: list[str], given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, list[str]]] = []

    async def noted(_: object, stamp: str, asked: list[str]) -> int:
        seen.append((stamp, asked))
        return int(stamp == "two")

    monkeypatch.setattr("mandate.infra.configuring.configure", noted)
    done = CliRunner().invoke(app, ["configure", "one", "two", "--subscription", "s", *arguments])
    assert (done.exit_code, seen) == (1, [("one", given), ("two", given)])
    assert set(known_options(["env", "load"])) >= {one.partition("=")[0] for one in given}
