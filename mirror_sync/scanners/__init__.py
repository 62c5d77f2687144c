"""Who scans files: picklescan, through its API, and any program of the operator's. None of them knows the engine."""
