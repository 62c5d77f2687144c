"""Other places: bundles that are written, carried, restored by a shell, and imported."""
