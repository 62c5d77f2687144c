"""`doctor`: what may keep this mirror from its work, looked at by small functions of one table, all bounded in time."""
