"""What `benchmarks/cockpit.py` is made of: a terminal, sweeps, load, and Textual's own widgets to compare with."""
