"""The product starts only with a whole `environments/governance.yaml`."""

from pathlib import Path

import pytest
import yaml

from control import load_governance
from core import ContentClass
from core.errors import Defect

FILE = Path(__file__).parents[2] / "environments" / "governance.yaml"


def test_the_file_says_of_every_class_who_answers_for_it_and_how_long_it_stays() -> None:
    governance = load_governance(FILE)
    assert set(governance.retention) == set(ContentClass)


def test_a_class_that_is_missing_is_named(tmp_path: Path) -> None:
    raw = yaml.safe_load(FILE.read_text())
    del raw["classes"]["reason"]
    refused(tmp_path, raw, "missing: reason")


@pytest.mark.parametrize("days", [-1, "7", 1.5, None])
def test_days_are_whole_and_not_below_none(tmp_path: Path, days: object) -> None:
    raw = yaml.safe_load(FILE.read_text())
    raw["classes"]["prompt"]["retention_days"] = days
    refused(tmp_path, raw, "prompt.retention_days")


def test_titles_stay_as_long_as_documents(tmp_path: Path) -> None:
    raw = yaml.safe_load(FILE.read_text())
    raw["classes"]["document"]["retention_days"] = 0
    refused(tmp_path, raw, "as long as documents")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Defect, match=r"nothing\.yaml"):
        load_governance(tmp_path / "nothing.yaml")


def refused(folder: Path, raw: object, what: str) -> None:
    path = folder / "governance.yaml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(Defect, match=what) as error:
        load_governance(path)
    assert error.value.code == "defect.governance"
