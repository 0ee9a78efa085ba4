"""App registrations as code: what an environment needs in Entra, compared with what is there, and made so."""
