"""`python -m mandate`."""

from mandate.cli import app

app()
