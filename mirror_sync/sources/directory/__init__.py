"""Folders as an upstream, for import where no network is. `folders` is the way in."""
