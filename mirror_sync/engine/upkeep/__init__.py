"""What keeps a target as it should be: verify and repair, prune, and the comparison of two snapshots."""
