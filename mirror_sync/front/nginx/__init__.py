"""`front nginx`: the answers by nginx and njs, which need no Python afterwards."""
