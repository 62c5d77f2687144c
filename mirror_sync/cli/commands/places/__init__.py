"""The commands that bring what is published to other places, or from there."""
