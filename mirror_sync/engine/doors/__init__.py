"""What open doors of the fronts need of a snapshot beside its files: made when it is published, or later."""
