"""Keeps an organisation's own copy of AI models and datasets, proved by SHA-256."""

__version__ = "0.1.0"
