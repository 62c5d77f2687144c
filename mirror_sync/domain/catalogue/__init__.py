"""What the catalogue shows, and the lists of repos that it publishes for fronts and clients."""
