"""Documents as people have them, made into Markdown. A leaf: it imports nothing of ours, so that its program is small.

`kind_of` and `cleaned` are for everybody. What parses a format runs only in the program `python -m reading <kind>`, a
confined process for one document: bytes in, Markdown out. See `__main__`.
"""

from reading.kinds import CannotRead, Kind, Why, kind_of
from reading.text import cleaned, decoded

__all__ = ["CannotRead", "Kind", "Why", "cleaned", "decoded", "kind_of"]
