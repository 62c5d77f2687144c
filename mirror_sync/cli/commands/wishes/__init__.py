"""What readers want, and how they get it."""
