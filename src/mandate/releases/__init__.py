"""What an environment runs: one manifest, made once and moved on as it is; and how features go from ring to ring."""

from mandate.releases.manifest import Release, made_of, read_release, write_release
from mandate.releases.promoting import promote
from mandate.releases.rings import to_ring
from mandate.releases.validating import differences, problems_of

__all__ = [
    "Release",
    "differences",
    "made_of",
    "problems_of",
    "promote",
    "read_release",
    "to_ring",
    "write_release",
]
