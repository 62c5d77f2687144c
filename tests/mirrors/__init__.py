"""Mirrors of mirrors: a hub, a mirror of it, and an edge that reads that one."""
