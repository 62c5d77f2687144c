"""What looks at the mirror and changes nothing: the checks of `doctor`, small functions of one table, all bounded in
time; and what happened."""
