"""Other places that hold what a target publishes: replicas, and bundles for machines that no network reaches. Every
copy is blobs first, refs.json last."""
