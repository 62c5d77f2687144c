"""The pages of the catalogue: as bytes, and in a real browser."""
