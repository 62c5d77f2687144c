"""What becomes of readers who ask for what is not mirrored: by both fronts, with the daemon's own answers."""
