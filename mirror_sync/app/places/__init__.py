"""Verbs of the places where a mirror lies: replicas, and bundles for machines without a network."""
