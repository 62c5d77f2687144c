"""What watches a run: the log, the progress, the history. Each is a callable that is told events and changes nothing.

Observers import the domain, the ports and the errors only; nothing here decides, fetches or publishes.
"""
