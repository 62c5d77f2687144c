"""What a mirror publishes, brought to people who have no mirror: into a folder, or the cache of the Hub's clients."""
