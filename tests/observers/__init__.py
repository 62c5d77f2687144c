"""What watches a run must show it truly, leak nothing, and never disturb it."""
