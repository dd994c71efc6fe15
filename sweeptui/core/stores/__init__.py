"""What is remembered: the store is the truth, everything else is an image of it."""
