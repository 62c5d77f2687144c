"""The shipped unit must start as it is, and have no privilege that it does not need."""
