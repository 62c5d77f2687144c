"""What is signed, and what a stranger can prove with public keys alone: by real programs, on both kinds of targets."""
