"""What runs jobs by itself, or tells what does: the daemon, workers, the Hub."""
