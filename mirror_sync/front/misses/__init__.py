"""What readers get who ask for what is not mirrored: fronts ask the daemon, and decide nothing by themselves."""
