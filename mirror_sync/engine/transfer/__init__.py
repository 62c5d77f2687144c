"""Brings one file from a source into a store, proving every byte on the way; `file_transfer` is the way in."""
