"""What must hold between several places of jobs.yaml: jobs and their ends, secrets, targets that are one place."""
