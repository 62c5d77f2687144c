"""Tests of mirror_sync.sources: one contract for every source, and the Hub's ways over real sockets."""
