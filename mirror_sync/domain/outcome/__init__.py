"""What happens and what became of it: events, reports, notices, costs, who reads the mirror."""
