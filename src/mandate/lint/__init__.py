"""A lint of our own: what keeps tenants apart and effects behind the gate, checked on the code before it runs.

`python -m mandate.lint` names each place with the reason and what to do. A place that has to be otherwise carries
`# mandate: allow[rule] - reason` on its line or the one before; a marker that is not needed is reported as well.
"""

from mandate.lint.checking import check, check_source
from mandate.lint.sources import Finding

__all__ = ["Finding", "check", "check_source"]
