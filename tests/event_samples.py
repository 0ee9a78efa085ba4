"""One event of every type, with something in every field: made from the types themselves, so that a new one is in."""

import types
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from core.bodies import Body

TYPES: tuple[type[BaseModel], ...] = get_args(get_args(Body)[0])


def filled(annotation: Any) -> Any:
    """Return a value of a type, with something in every field of it."""
    if hasattr(annotation, "__supertype__"):
        return filled(annotation.__supertype__)
    if get_origin(annotation) is not None:
        return _put_together(get_origin(annotation), get_args(annotation))
    if issubclass(annotation, BaseModel):
        return annotation(**{name: filled(field.annotation) for name, field in annotation.model_fields.items()})
    return next(iter(annotation)) if issubclass(annotation, Enum) else {str: "abc", int: 7, bool: True}[annotation]


def _put_together(origin: Any, arguments: tuple[Any, ...]) -> Any:
    if origin is Literal:
        return arguments[0]
    if origin is tuple:
        return (filled(arguments[0]), filled(arguments[0]))
    if origin is dict:
        return {"first": filled(arguments[1]), "second": filled(arguments[1])}
    assert origin in (Union, types.UnionType, Annotated)
    return filled(arguments[0])
