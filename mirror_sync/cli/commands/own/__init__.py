"""Commands of own models."""
