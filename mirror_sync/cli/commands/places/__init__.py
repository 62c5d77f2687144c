"""Where a mirror lies: its replicas, and which of its places is the target."""
