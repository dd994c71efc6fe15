"""Sweeps in and out: files of other tools and of other machines.

A source gives rows, one trial at a time, and a target takes them so: no second copy of a sweep is held in memory.
"""
