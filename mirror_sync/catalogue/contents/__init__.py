"""What pages show of a repo's own files, which anybody may have written: within bounds, and made of our own tags."""
