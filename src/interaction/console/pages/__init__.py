"""The pages of the console, one module each: a `router`, and an `ENTRY` for the menu."""
