"""Which version readers get: names that people move, what rules of jobs move, and grey releases that are watched."""
