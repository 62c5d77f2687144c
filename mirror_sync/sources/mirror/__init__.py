"""Another mirror of this kind as an upstream: its documents and blobs, over its front or out of its bucket."""
