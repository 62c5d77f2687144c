"""Walks of people through all of it, by what is written for them and nothing else; a night shift is in `tests/cli`."""
