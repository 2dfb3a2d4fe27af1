"""The database: what must be true after a crash, and what several gateways share."""
