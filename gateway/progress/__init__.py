"""How progress comes back: webhooks and polls in, the outbox, and its delivery to RTOPilot."""
