"""Clients far and wide, each in an environment of its own, against both fronts over both targets.

``make clients`` runs all and writes ``docs/lab/clients.md``. They read tiny repos, made by their own libraries.
"""
