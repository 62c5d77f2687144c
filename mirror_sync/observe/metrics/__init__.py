"""What Prometheus is told: counters fed by events, gauges read when it asks."""
