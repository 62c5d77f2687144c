"""Brings a job's repos up to date: expand, check, decide, transfer, publish.

`repo_sync` tells the story of one repo.
"""
