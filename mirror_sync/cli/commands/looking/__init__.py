"""Commands that look at the mirror and change nothing: whether all is well, what happened."""
