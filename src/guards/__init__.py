"""Guards: what is found in a text that goes in or out. They say what they found; only policies say what it means."""

from guards.formats import Found, PersonalData, Secret, found_in
from guards.guard import GUARDS, Guard, Place, Text
from guards.outgoing import LONGEST, Leaving, Outgoing

__all__ = [
    "GUARDS",
    "LONGEST",
    "Found",
    "Guard",
    "Leaving",
    "Outgoing",
    "PersonalData",
    "Place",
    "Secret",
    "Text",
    "found_in",
]
