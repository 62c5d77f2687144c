"""The log: one line for each event, for machines on stderr and for a person at a terminal."""
