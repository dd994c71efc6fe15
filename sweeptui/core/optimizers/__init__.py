"""What to try next: the optimizers, and the service that asks one of them in a process of its own."""
