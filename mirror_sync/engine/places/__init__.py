"""Other places that hold what a target publishes: replicas, bundles for machines that no network reaches,
and the cold tier of a target. Every
copy is blobs first, refs.json last."""
