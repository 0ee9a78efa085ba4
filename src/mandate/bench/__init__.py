"""`mandate bench`: what a governed turn costs, beside a bare pass-through that is measured in alternation with it.

Read `run` for the order of things, `turns` for what is asked, `load` for how it is measured. `passthrough`, `appends`,
`decisions`, `gates`, `looks` and `model_client` are programs of their own, so that each one's CPU time is nobody
else's.
"""

from mandate.bench.run import bench

__all__ = ["bench"]
