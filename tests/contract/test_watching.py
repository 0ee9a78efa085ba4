"""`mandate watch` and `mandate healthy`: what a release and a container are judged by."""

import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from identity_live import serving
from mandate.healthy import healthy
from mandate.settings import ROOT
from mandate.watching import watch


@dataclass
class Stamp:
    """Answers with each status in turn, the last one for ever."""

    url: str = ""
    port: int = 0
    statuses: tuple[int, ...] = (200,)
    asked: int = 0
    candidate: int = 404

    async def answer(self, request: Request) -> Response:
        self.asked += 1
        return Response(status_code=self.statuses[min(self.asked, len(self.statuses)) - 1])

    async def of_candidate(self, request: Request) -> Response:
        return Response(status_code=self.candidate)


@pytest.fixture
async def stamp() -> AsyncGenerator[Stamp]:
    found = Stamp()
    routes = [Route(path, found.answer) for path in ("/readyz", "/healthz")]
    app = Starlette(routes=[*routes, Route("/readyz/candidate", found.of_candidate)])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found.port = listener.getsockname()[1]
        found.url = f"http://127.0.0.1:{found.port}"
        async with serving(app, listener):
            yield found


async def test_a_release_that_stays_ready_is_kept(stamp: Stamp) -> None:
    stamp.statuses = (503, 200, 503, 200)
    assert await watch([stamp.url], 0.2, 0.01, misses=2, candidate=False) == 0
    assert stamp.asked > 4


async def test_a_release_that_is_not_ready_is_named_before_the_time_is_over(
    stamp: Stamp, capsys: pytest.CaptureFixture[str]
) -> None:
    stamp.statuses = (200, 503)
    assert await watch([stamp.url], 60, 0.01, misses=3, candidate=False) == 1
    assert stamp.asked == 4
    assert f"{stamp.url}/readyz was not ready 3 times in a row" in capsys.readouterr().out


async def test_a_release_whose_candidate_is_not_ready_is_stopped_though_the_stable_one_is(
    stamp: Stamp, capsys: pytest.CaptureFixture[str]
) -> None:
    stamp.candidate = 200
    assert await watch([stamp.url], 0.1, 0.01, misses=2, candidate=True) == 0
    for status in (503, 404):
        stamp.candidate = status
        assert await watch([stamp.url], 0.1, 0.01, misses=2, candidate=False) == 0
        assert await watch([stamp.url], 60, 0.01, misses=2, candidate=True) == 1
        assert f"{stamp.url}/readyz/candidate was not ready 2 times in a row" in capsys.readouterr().out


async def test_a_stamp_that_does_not_answer_is_not_ready(stamp: Stamp) -> None:
    assert await watch([stamp.url, "http://127.0.0.1:9"], 60, 0.01, misses=2, candidate=False) == 1


@pytest.mark.parametrize(("statuses", "code"), [((200,), 0), ((503,), 1)])
async def test_a_container_says_whether_its_service_lives(
    stamp: Stamp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    statuses: tuple[int, ...],
    code: int,
) -> None:
    declared = yaml.safe_load((ROOT / "environments/services.yaml").read_text())
    declared["services"]["control"]["port"] = stamp.port
    for name in ("interaction", "orchestration"):
        declared["services"][name]["port"] = 9  # nobody
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/services.yaml").write_text(yaml.safe_dump(declared))
    monkeypatch.setenv("MANDATE_ROOT", str(tmp_path))
    stamp.statuses = statuses
    assert await healthy() == code
    assert capsys.readouterr().out.startswith("control: ")


async def test_where_no_service_is_nothing_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = yaml.safe_load((ROOT / "environments/services.yaml").read_text())
    for service in declared["services"].values():
        service["port"] = 9
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/services.yaml").write_text(yaml.safe_dump(declared))
    monkeypatch.setenv("MANDATE_ROOT", str(tmp_path))
    assert await healthy() == 1
