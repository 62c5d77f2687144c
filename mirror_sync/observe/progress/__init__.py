"""How far a run is: bars on a terminal, or a line a minute where nobody watches one."""
