"""Plots in the terminal: what the trials have shown so far, in braille dots."""
