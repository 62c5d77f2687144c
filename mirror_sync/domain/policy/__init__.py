"""What may be mirrored and what becomes of it: licences, what is gone upstream, which repo goes by a name."""
