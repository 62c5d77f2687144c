"""Which version readers get: the names that a mirror gives to commits, and how main goes back."""
