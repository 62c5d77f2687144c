"""The doors beside the Hub's: what clients of registries and their like ask, by hand and as real programs."""
