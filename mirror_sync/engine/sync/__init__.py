"""Brings a job's repos up to date: expand, look, decide, transfer, publish.

`repo_sync` tells the story of one repo.
"""
