"""What a repo holds: manifests and the plan between two of them, snapshots, refs, the bucket's keys."""
