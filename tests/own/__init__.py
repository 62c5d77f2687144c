"""Models of one's own: pushed, and made of what was published."""
