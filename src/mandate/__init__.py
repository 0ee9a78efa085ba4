"""The composition root and the command line."""

DEFAULT_URL = "http://127.0.0.1:8080"
"""Where `mandate up` serves people, unless told otherwise."""
