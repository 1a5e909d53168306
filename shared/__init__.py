"""What producer and consumer have in common."""
