"""Laws of jobs.yaml: what each key does, and what each fault says."""
