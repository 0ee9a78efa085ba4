"""`mandate demo`: the whole story over HTTP, and every promise of it checked.

`walk` starts the product and takes the chapters in order; a step is a function whose docstring is the promise.
"""

from mandate.demo.walk import demo

__all__ = ["demo"]
