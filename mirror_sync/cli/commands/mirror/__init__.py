"""What is mirrored: what would be done, is done, is there, is whole."""
