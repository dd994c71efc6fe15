"""Other libraries' optimizers behind our contract. Each module imports its library, and is imported for it alone."""
