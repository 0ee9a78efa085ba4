"""The edge: who asks, whether they may, in what form; then it hands on, and shows what came of it.

Begin with `routes`: each file is a resource, and an endpoint's `me` parameter is its policy.
"""

from interaction.app import create_app
from interaction.dependencies import InteractionDependencies, Peer
from interaction.parameters import run_for
from interaction.rates import PlanRates, Rate, RateLimits
from interaction.reading import may_read_run

__all__ = [
    "InteractionDependencies",
    "Peer",
    "PlanRates",
    "Rate",
    "RateLimits",
    "create_app",
    "may_read_run",
    "run_for",
]
