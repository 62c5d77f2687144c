"""Sentences that other parts of the program have written in English, for readers of other languages."""
