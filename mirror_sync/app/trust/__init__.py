"""What is done for trust in a mirror: who did what, what people decide, what is signed, what is taken down."""
