"""The engine, over a real Hub stand-in and real targets."""
