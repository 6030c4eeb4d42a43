"""Benchmarks: contenders side by side in one run on this machine, taking turns, with the conditions beside the figures.

`clock` holds what all of them share; each other file is one benchmark, or what it needs.
"""
