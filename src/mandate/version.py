"""The version of the code, as it stands in every run's first event."""

from importlib.metadata import version

VERSION = version("mandate")
