"""Sweeptui's parts inside of other libraries. Each module imports its library, and is imported for it alone."""
