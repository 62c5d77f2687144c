"""What a file is, and whether loading it runs code: told by its bytes, read in ranges and within bounds."""
