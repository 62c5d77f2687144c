"""Other places that hold what a target publishes: replicas. Every copy is blobs first, refs.json last."""
