"""Judges a snapshot by its files: their classes, and what scanners say; stages between transfer and publish."""
