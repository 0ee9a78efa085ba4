"""What reading one document may cost."""

MAX_MARKDOWN = 1_900_000
"""Characters that come out."""

MAX_PAGES = 2000
CPU_SECONDS = 20
SECONDS = 30.0
"""By the clock: a process that takes longer is ended."""

MEMORY_BYTES = 768 * 1024 * 1024
"""Address space, the interpreter and its libraries included."""
