"""The command line as a person or a script meets it: real processes, their words and their exit codes."""
