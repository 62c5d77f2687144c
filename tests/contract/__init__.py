"""What people and programs outside hold on to, as it is now: a change of it is meant, or it is a fault."""
