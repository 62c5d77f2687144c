"""A site that speaks ModelScope's API. `modelscope_source` is the way in."""
