"""What is wrong with an environment's files, and how those of two environments differ."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import yaml
from pydantic import JsonValue

from control import Layer, check_layer
from core.errors import Defect, MandateError
from mandate.configuration.files import Files
from mandate.configuration.tree import CANDIDATE, leaves, parse
from mandate.releases.manifest import made_of, model_pins, read_release


def problems_of(root: Path, environment: str) -> list[str]:
    """Return what is wrong, in sentences; nothing if the environment could be deployed as it is."""
    return [problem for check in _CHECKS for problem in check(root, environment)]


def differences(root: Path, one: str, other: str) -> list[tuple[str, str, str]]:
    """Return each value that two environments do not have alike: its path, and what it is here and there."""
    here, there = (_values(root, name) for name in (one, other))
    return [
        (path, _told(here.get(path)), _told(there.get(path)))
        for path in sorted(here.keys() | there.keys())
        if here.get(path) != there.get(path)
    ]


def _values(root: Path, environment: str) -> Mapping[str, JsonValue]:
    tree = {key: value for key, value in Files(root / "environments", environment).read_now().items() if key != "flags"}
    flags = parse(Files(root / "environments", environment).read_now()).flags
    found = leaves(tree, "settings:") | {f"flags:{flag.id}": flag.model_dump(mode="json") for flag in flags}
    found |= {f"models:{name}": cast("JsonValue", pins) for name, pins in model_pins(root, environment).items()}
    policies = (root / "environments" / environment / "policies.cedar").read_text("utf-8")
    found["policies"] = [line.strip() for line in policies.splitlines() if line.strip().startswith("@id")]
    if environment != "local":
        found |= leaves(read_release(root, environment).model_dump(), "release:")
    return found


def _told(value: JsonValue) -> str:
    return (
        "-"
        if value is None
        else yaml.safe_dump(value, default_flow_style=True, width=10_000).strip().removesuffix("...").strip()
    )


def _settings(root: Path, environment: str) -> Iterator[str]:
    try:
        live = parse(Files(root / "environments", environment).read_now())
    except Defect as error:
        yield error.message
        return
    named = _features_of(root, environment)
    flags = {flag.id for flag in live.flags}
    if CANDIDATE in flags | named:
        yield f"`{CANDIDATE}` is the flag of releases under way, which no file has: give this feature another name."
        flags, named = flags - {CANDIDATE}, named - {CANDIDATE}
    yield from (
        f"models.yaml names the feature `{name}`, for which there is no flag." for name in sorted(named - flags)
    )
    yield from (f"The flag `{name}` changes nothing: no model is for it." for name in sorted(flags - named))


def _features_of(root: Path, environment: str) -> set[str]:
    text = (root / "environments" / environment / "models.yaml").read_text("utf-8")
    models = cast("dict[str, dict[str, list[dict[str, str]]]]", yaml.safe_load(text)["models"])
    return {target["feature"] for model in models.values() for target in model["targets"] if "feature" in target}


def _policies(root: Path, environment: str) -> Iterator[str]:
    text = (root / "environments" / environment / "policies.cedar").read_text("utf-8")
    _, problems = check_layer(Layer.ENVIRONMENT, text)
    yield from (f"policies.cedar: {problem.message}" for problem in problems)


def _release(root: Path, environment: str) -> Iterator[str]:
    if environment == "local":
        return
    try:
        release = read_release(root, environment)
        now = made_of(root, environment, release.image)
    except MandateError as error:
        yield error.message
        return
    if not release.is_released:
        return
    for name in ("code", "agents", "policy", "models"):
        if getattr(release, name) != getattr(now, name):
            yield f"release.yaml has other {name} than these files: it is of an image that was built from others."


_CHECKS = (_settings, _policies, _release)
