"""Integers in what we are given."""

from pydantic import BeforeValidator


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""A number without a fraction is the integer that it is in JSON Schema, such as 7.0.

It stands behind the bounds of a field, which its schema loses otherwise.
"""
