"""Keys and ids of Cosmos DB, and the file that declares its containers."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core import TenantId
from core.errors import Defect
from data.cosmos import Containers
from data.cosmos.keys import encoded, full_key, prefix_key

ENVIRONMENTS = Path(__file__).parents[2] / "environments"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80))
def test_every_name_has_an_id_of_its_own_that_gives_it_back(name: str) -> None:
    id_ = encoded(name)
    assert re.fullmatch(r"[A-Za-z0-9_=-]+", id_)
    assert unquote(id_.replace("=", "%")) == name


@pytest.mark.parametrize("name", ["", "x" * 1024, "ü" * 200])
def test_what_no_id_can_hold_is_refused(name: str) -> None:
    with pytest.raises(Defect):
        encoded(name)


@pytest.mark.parametrize(
    "key", [(), ("ten_a",), ("ten_a", ""), ("", "x"), (None, "x"), ("a", "b", "c"), "ab", [None, 1]]
)
def test_a_key_without_all_its_levels_is_refused(key: Any) -> None:
    with pytest.raises(Defect) as refused:
        full_key(key)
    assert refused.value.code == "defect.tenant"


def test_there_is_no_beginning_of_a_key_without_a_tenant() -> None:
    assert prefix_key(TenantId("ten_a")) == ["ten_a"]
    for tenant in ("", None, 7):
        with pytest.raises(Defect):
            prefix_key(tenant)  # pyright: ignore[reportArgumentType] - what the types forbid may come all the same


def test_vectors_are_as_long_as_each_environment_says() -> None:
    dimensions = Containers.load(ENVIRONMENTS).dimensions
    for models in sorted(ENVIRONMENTS.glob("*/models.yaml")):
        found = re.findall(r"^ +dimensions: (?:\$\{\w+:-)?(\d+)", models.read_text(), re.MULTILINE)
        assert found == [str(dimensions)], models


def test_containers_have_the_form_of_azures_resource() -> None:
    """Names as in Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers, for Bicep takes each as it stands."""
    known = {"id", "partitionKey", "defaultTtl", "indexingPolicy", "vectorEmbeddingPolicy", "fullTextPolicy"}
    for name, container in Containers.load(ENVIRONMENTS).declared.items():
        assert container.keys() <= known, name
        assert container["partitionKey"]["kind"] == "MultiHash"
        indexed = {path["path"] for path in container["indexingPolicy"]["includedPaths"]}
        assert {f"{path}/?" for path in container["partitionKey"]["paths"]} <= indexed, name


@pytest.mark.parametrize("paths", [["/run", "/tenant"], ["/tenant", "/id"]])
def test_a_container_that_does_not_keep_tenants_apart_is_refused(tmp_path: Path, paths: list[str]) -> None:
    declared = yaml.safe_load((ENVIRONMENTS / "containers.yaml").read_text())
    declared["containers"][0]["partitionKey"]["paths"] = paths
    (tmp_path / "containers.yaml").write_text(yaml.safe_dump(declared))
    with pytest.raises(Defect):
        Containers.load(tmp_path)
    (tmp_path / "containers.yaml").write_text(yaml.safe_dump({"containers": declared["containers"][1:]}))
    with pytest.raises(Defect):
        Containers.load(tmp_path)
