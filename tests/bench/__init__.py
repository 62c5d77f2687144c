"""What the benchmark says of its measurements, and that it runs. No time is asserted here."""
