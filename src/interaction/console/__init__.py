"""The web console: pages drawn on the server, over the same functions that answer the API.

A page is a module in `pages`, found by being there. CONTRIBUTING.md says how to add one.
"""

from interaction.console.error_pages import install_error_pages
from interaction.console.navigation import page_routers

__all__ = ["install_error_pages", "page_routers"]
