"""What serves a target, or writes what does, and who reads it."""
