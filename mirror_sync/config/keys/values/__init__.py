"""What a value of jobs.yaml may be: an address, an amount, a time, a text."""
