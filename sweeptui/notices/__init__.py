"""Tells a user elsewhere what happens in a sweep, without ever holding the sweep up."""
