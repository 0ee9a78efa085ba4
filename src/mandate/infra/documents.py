"""ARM templates and createUiDefinition.json as data, with what rules ask of them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, cast

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Object: TypeAlias = dict[str, Json]

DEPLOYMENT = "microsoft.resources/deployments"


def parse(text: str) -> Object:
    """Return the object that a JSON text is.

    Raises:
        ValueError: it is none.
    """
    match cast("Json", json.loads(text)):
        case dict() as found:
            return found
        case _:
            raise ValueError("not an object")


def at(node: Json, *path: str) -> Json:
    """Return what stands at a path, None if there is nothing. ARM does not tell names apart by case."""
    for name in path:
        if not isinstance(node, dict):
            return None
        node = next((value for key, value in node.items() if key.lower() == name.lower()), None)
    return node


def fields(node: Json, *path: str) -> Object:
    found = at(node, *path)
    return found if isinstance(found, dict) else {}


def entries(node: Json, *path: str) -> list[Json]:
    found = at(node, *path)
    return found if isinstance(found, list) else []


def text(node: Json, *path: str) -> str:
    found = at(node, *path)
    return found if isinstance(found, str) else ""


def objects(node: Json) -> Iterator[Object]:
    """Yield every object in `node`, itself first."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from objects(value)


def strings(node: Json) -> Iterator[str]:
    """Yield every string in `node`, but not names."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)


@dataclass(frozen=True)
class Template:
    """A template: the file's own, or one within a deployment of another template.

    Attributes:
        place: the names of the deployments that lead to it.
        parent: the template that it is within.
        deployment: the resource that it is in.
    """

    body: Object
    place: str = ""
    parent: "Template | None" = None
    deployment: Object | None = None

    @cached_property
    def resources(self) -> list[Object]:
        """All resources, those within others included; those of inner templates are theirs."""
        return list(_resources(at(self.body, "resources")))

    @cached_property
    def parameters(self) -> dict[str, Object]:
        return {name: value for name, value in fields(self.body, "parameters").items() if isinstance(value, dict)}

    @cached_property
    def own(self) -> Object:
        """The template without its inner ones."""
        return cast("Object", _without_inner(self.body))

    @cached_property
    def working(self) -> list[str]:
        """All strings outside of the schema and the parameters' declarations."""
        skipped = ("$schema", "parameters")
        return [found for name, value in self.own.items() if name.lower() not in skipped for found in strings(value)]


def templates(document: Object) -> Iterator[Template]:
    """Yield a template and all that it holds, outer ones first."""
    waiting = [Template(document)]
    while waiting:
        template = waiting.pop(0)
        yield template
        for resource in template.resources:
            inner = at(resource, "properties", "template")
            if text(resource, "type").lower() == DEPLOYMENT and isinstance(inner, dict):
                place = f"{template.place}/{text(resource, 'name')}".strip("/")
                waiting.append(Template(inner, place, template, resource))


def _resources(node: Json) -> Iterator[Object]:
    found = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
    for resource in found:
        if isinstance(resource, dict):
            yield resource
            yield from _resources(at(resource, "resources"))


def _without_inner(node: Json) -> Json:
    if isinstance(node, list):
        return [_without_inner(value) for value in node]
    if not isinstance(node, dict):
        return node
    if text(node, "type").lower() == DEPLOYMENT and isinstance(at(node, "properties", "template"), dict):
        kept = {name: value for name, value in fields(node, "properties").items() if name.lower() != "template"}
        return {**node, "properties": kept}
    return {name: _without_inner(value) for name, value in node.items()}
