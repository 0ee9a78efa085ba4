"""A catalogue is right at start-up or the product does not start, and says why."""

import logging
from datetime import date
from pathlib import Path

import pytest
import yaml

from core.errors import Defect
from models import Catalogue, EmbedModel

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 23)
DEPLOYED = {
    "MODEL_ENDPOINT_PRIMARY": "https://one.openai.azure.com",
    "MODEL_ENDPOINT_FAILOVER": "https://two.openai.azure.com",
    "MODEL_GEOGRAPHY": "eu",
}
TARGET: dict[str, object] = {
    "name": "one",
    "adapter": "openai",
    "endpoint": "https://one.example",
    "model": "m",
    "version": "1",
    "retires": date(2099, 1, 1),
    "plans": ["*"],
    "regions": ["eu"],
    "auth": "entra",
}


def write(folder: Path, *targets: dict[str, object], **more: object) -> Path:
    path = folder / "models.yaml"
    model = {"purpose": "chat", "targets": list(targets)}
    path.write_text(yaml.safe_dump({"currency": "EUR", "models": {"chat": model}, **more}), "utf-8")
    return path


def load(path: Path, settings: dict[str, str] | None = None, *, local: bool = False) -> Catalogue:
    return Catalogue.load(path, settings=settings or {}, local=local, today=TODAY)


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_a_deployed_environment_has_a_failover_in_the_same_geography(environment: str) -> None:
    catalogue = load(ROOT / "environments" / environment / "models.yaml", DEPLOYED)
    assert set(catalogue.models) == {"chat", "chat-small", "embed"}
    for logical in catalogue.models:
        targets = catalogue.eligible(logical, "any", "eu")
        assert len({target.base_url for target in targets}) == 2
        assert len({(target.model, target.version) for target in targets}) == 1
        assert catalogue.eligible(logical, "any", "us") == ()
        assert {target.auth for target in targets} == {"entra"}


def test_the_environments_agree_on_the_embedder_so_that_vectors_can_be_compared() -> None:
    found = [
        load(ROOT / "environments" / name / "models.yaml", DEPLOYED).model("embed") for name in ("staging", "prod")
    ]
    assert {(model.targets[0].model, model.targets[0].version) for model in found} == {("text-embedding-3-small", "1")}


def test_the_laptop_needs_one_setting_and_takes_a_real_model_by_three() -> None:
    path = ROOT / "environments" / "local" / "models.yaml"
    stand_in = load(path, {"MODEL_ENDPOINT": "https://localhost:7000"}, local=True)
    (target,) = stand_in.model("chat").targets
    assert (target.base_url, target.adapter, target.auth) == ("https://localhost:7000/openai/v1", "openai", "entra")
    embed = stand_in.model("embed")
    assert isinstance(embed, EmbedModel)
    assert (embed.dimensions, embed.query_prefix, embed.passage_prefix) == (384, "query: ", "passage: ")

    real = {
        "MODEL_ENDPOINT": "https://localhost:7000",
        "MANDATE_MODEL_ENDPOINT": "http://127.0.0.1:11434/v1",
        "MANDATE_MODEL_NAME": "some-model",
        "MANDATE_MODEL_AUTH": "none",
    }
    catalogue = load(path, real, local=True)
    (target,) = catalogue.model("chat").targets
    assert (target.base_url, target.model, target.auth) == ("http://127.0.0.1:11434/v1", "some-model", "none")
    assert catalogue.model("embed").targets == embed.targets

    other = load(
        path, {"MODEL_ENDPOINT": "https://localhost:7000", "MANDATE_MODEL_ADAPTER": "azure-ai-inference"}, local=True
    )
    assert other.model("chat").targets[0].base_url == "https://localhost:7000/models"


def test_a_setting_that_is_not_set_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, TARGET | {"endpoint": "${SOME_ENDPOINT}/v1"})
    with pytest.raises(Defect, match="SOME_ENDPOINT, which is not set"):
        load(path)
    with pytest.raises(Defect, match="SOME_ENDPOINT"):
        load(path, {"SOME_ENDPOINT": ""})
    assert (
        load(path, {"SOME_ENDPOINT": "https://x.example"}).model("chat").targets[0].base_url == "https://x.example/v1"
    )


def test_the_value_of_a_setting_is_not_searched_for_references(tmp_path: Path) -> None:
    path = write(tmp_path, TARGET | {"model": "${NAME:-${OTHER:-x}}"})
    assert load(path, {"NAME": "${SECRET}", "SECRET": "s"}).model("chat").targets[0].model == "${SECRET}"
    assert load(path, {"OTHER": "y"}).model("chat").targets[0].model == "y"
    assert load(path).model("chat").targets[0].model == "x"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"adapter": "other"}, "adapter"),
        ({"endpoint": "ftp://one.example"}, "http or https"),
        ({"endpoint": "https://me:secret@one.example"}, "no user"),
        ({"endpoint": "https://one.example?api-key=secret"}, "query"),
        ({"endpoint": "http://one.example"}, "https endpoint"),
        ({"auth": "none", "adapter": "azure-ai-inference"}, "no keyless form"),
        ({"regions": []}, "regions"),
        ({"input_micros_per_1k": 3}, "both prices"),
        ({"input_micros_per_1k": -3, "output_micros_per_1k": 3}, "greater than or equal to 0"),
        ({"retire": "2030-01-01"}, "retire"),
        ({"version": 1}, "version"),
    ],
)
def test_a_mistake_is_named_and_no_value_repeated(tmp_path: Path, change: dict[str, object], why: str) -> None:
    with pytest.raises(Defect, match=why) as raised:
        load(write(tmp_path, TARGET | change))
    assert raised.value.code == "defect.catalogue"
    assert "secret" not in raised.value.message


def test_two_targets_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Defect, match="same name"):
        load(write(tmp_path, TARGET, TARGET))


@pytest.mark.parametrize("text", ["models: [", "- 1", ""])
def test_what_is_no_catalogue_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(Defect, match="cannot be used"):
        load(path)
    with pytest.raises(Defect, match="cannot be read"):
        load(tmp_path / "missing.yaml")


def test_only_the_laptop_may_be_keyless(tmp_path: Path) -> None:
    path = write(tmp_path, TARGET | {"auth": "none", "endpoint": "http://127.0.0.1:8080/v1"})
    assert load(path, local=True)
    with pytest.raises(Defect, match="only the laptop"):
        load(path)


def test_a_retired_target_stops_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, TARGET | {"retires": TODAY})
    with pytest.raises(Defect, match="retired on 2026-11-23"):
        load(path)
    with caplog.at_level(logging.WARNING):
        assert load(path, local=True)
    assert "retires on 2026-11-23" in caplog.text


@pytest.mark.parametrize(("day", "warned"), [(date(2026, 12, 23), True), (date(2026, 12, 24), False)])
def test_a_retirement_is_announced_a_month_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, day: date, *, warned: bool
) -> None:
    with caplog.at_level(logging.WARNING):
        load(write(tmp_path, TARGET | {"retires": day}))
    assert ("plan its successor" in caplog.text) is warned


def test_a_cost_is_rounded_up_and_nothing_without_prices(tmp_path: Path) -> None:
    prices = {"input_micros_per_1k": 150, "output_micros_per_1k": 600}
    (priced,) = load(write(tmp_path, TARGET | prices)).model("chat").targets
    assert priced.priced
    assert priced.cost(1, 1) == 1
    assert priced.cost(1000, 1000) == 750
    (free,) = load(write(tmp_path, TARGET)).model("chat").targets
    assert not free.priced
    assert free.cost(1000, 1000) == 0


def test_an_unknown_logical_model_is_our_fault(tmp_path: Path) -> None:
    with pytest.raises(Defect, match="no such logical model"):
        load(write(tmp_path, TARGET)).model("chatt")
