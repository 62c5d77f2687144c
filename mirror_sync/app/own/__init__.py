"""Verbs of own models: push, and what is made of what was published."""
