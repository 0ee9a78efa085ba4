"""What the design says of the code itself, checked on the code itself."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import get_args

import orjson
import pytest
from pydantic.fields import FieldInfo

from control import load_agents
from core import Json
from core.bodies import Body
from core.events import Stored
from mandate.host import product_tools
from mandate.services import NAMES, Services
from mandate.settings import Settings
from tools import Registry

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
PACKAGES = {path.name for path in SRC.iterdir() if (path / "__init__.py").exists()}
GOLDEN = ROOT / "tests" / "unit" / "golden" / "v1"
REFERENCE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)")


def test_no_installed_distribution_owns_a_file_under_one_of_our_names() -> None:
    clashes = [
        f"{distribution.name}: {file}"
        for distribution in distributions()
        if distribution.name != "mandate"
        for file in distribution.files or ()
        if file.parts and file.parts[0].removesuffix(".py") in PACKAGES
    ]
    assert clashes == []


def test_imports_keep_to_the_layers() -> None:
    # A process of its own: within this one it would switch off the loggers that exist, and other tests read those.
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def environment_names() -> set[str]:
    def name(field: str, info: FieldInfo) -> str:
        return str(info.validation_alias or f"MANDATE_{field.upper()}")

    return {name(field, info) for field, info in Settings.model_fields.items()}


def catalogue_names() -> set[str]:
    catalogues = ROOT.glob("environments/*/models.yaml")
    return {name for path in catalogues for name in REFERENCE.findall(path.read_text())}


def test_every_setting_that_a_service_declares_is_read() -> None:
    declared = {name.rstrip("*") for service in SERVICES.services.values() for name in service.settings}
    clients = {f"MANDATE_CLIENT_ID_{name.upper()}" for name in SERVICES.identity_names()}
    assert declared - environment_names() - catalogue_names() - clients == {"AZURE_TOKEN_CREDENTIALS"}  # azure-identity


def test_a_service_is_told_who_it_is_and_who_may_call_it() -> None:
    for name, service in SERVICES.services.items():
        needed = {f"MANDATE_CLIENT_ID_{identity.upper()}" for identity in (service.identity, *service.accepts)}
        assert {setting for setting in service.settings if setting.startswith("MANDATE_CLIENT_ID_")} == needed, name


def test_every_setting_of_a_catalogue_reaches_the_service_that_calls_models() -> None:
    declared = {name.rstrip("*") for name in SERVICES.services["orchestration"].settings}
    assert catalogue_names() - declared == set()


SERVICES = Services.load(ROOT / "environments")


def test_services_name_only_what_exists() -> None:
    services = SERVICES.services
    assert set(services) == set(NAMES)
    for name, service in services.items():
        assert set(service.accepts) <= set(SERVICES.identity_names()), name
        assert set(service.egress) <= {setting.rstrip("*") for setting in service.settings}, name
        assert all(services[peer].accepts.get(service.identity) == "call" for peer in service.peers), name


@pytest.mark.parametrize("what", ["port", "audience", "identity"])
def test_no_two_services_share(what: str) -> None:
    values = [getattr(service, what) for service in SERVICES.services.values()]
    assert len(set(values)) == len(values)


def test_only_people_reach_the_public_service_and_only_services_the_others() -> None:
    assert [name for name, service in SERVICES.services.items() if service.public] == ["interaction"]
    assert all(bool(service.accepts) != service.public for service in SERVICES.services.values())


def fields(schema: Json) -> Iterator[str]:
    """Yield the names of all properties in a JSON schema, nested ones included."""
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            yield from properties
        for value in schema.values():
            yield from fields(value)
    elif isinstance(schema, (list, tuple)):
        for value in schema:
            yield from fields(value)


def test_every_tool_of_every_agent_is_there_and_cannot_say_for_whom_it_acts() -> None:
    registry = Registry(product_tools("https://backoffice.example"))
    for agent in load_agents(ROOT / "agents").values():
        for offer in registry.offers(agent.tools):
            says = {field for field in fields(offer.parameters) if re.search("tenant|user|principal|behalf", field)}
            assert not says, offer.name


def test_each_type_of_event_of_each_version_is_kept() -> None:
    types = {kind.model_fields["type"].default for kind in get_args(get_args(Body)[0])}
    assert {path.stem for path in GOLDEN.glob("*.json")} == types


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_an_event_of_version_1_is_read_as_it_was_written(path: Path) -> None:
    golden = orjson.loads(path.read_bytes())
    data = orjson.dumps(golden["event"], option=orjson.OPT_SORT_KEYS)
    stored = Stored.parse(data)
    assert stored.hash == golden["hash"]
    assert stored.event.schema_version == 1
    assert stored.event.body.type == path.stem
    assert_keeps(stored.event.model_dump(mode="json"), golden["event"], "event")


def assert_keeps(read: Json, written: Json, place: str) -> None:
    """Fail where something that was written is missing or another; a field that came later has its default."""
    if isinstance(written, dict):
        assert isinstance(read, dict), place
        for key, value in written.items():
            assert_keeps(read.get(key), value, f"{place}.{key}")
    elif isinstance(written, list):
        assert isinstance(read, list), place
        for number, value in enumerate(written):
            assert_keeps(read[number], value, f"{place}[{number}]")
    else:
        assert read == written, place
