"""What may be published by what is in it: classes of files, scanners, and what a policy makes of them."""
