"""The daemon, as a real process with real signals and a real notification socket."""
