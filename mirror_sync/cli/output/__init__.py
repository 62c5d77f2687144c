"""What commands answer, as a person reads it: tables, summaries, reports."""
