"""`serve`: the answers over HTTP by a Python process."""
