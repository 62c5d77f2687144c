"""The file of the tokens of readers: read as its commands read it, and written in place."""
