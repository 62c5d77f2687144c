"""Puts the program together: the only place that names every adapter. No rule of what is mirrored stands here."""
