"""What clients of other doors than the Hub's are given beside the files: documents made of a snapshot, pure."""
