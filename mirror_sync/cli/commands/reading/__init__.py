"""Commands for people who read a mirror and have no jobs.yaml."""
