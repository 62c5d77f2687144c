"""Sources that are made of sources: asking again, other endpoints, limits of bandwidth and of connections."""
