"""The manual, and the script that writes the page of it that the code dictates."""
