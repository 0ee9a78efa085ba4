"""Stand-ins for what Mandate meets outside itself. For local use only: none of it is in the production image."""
