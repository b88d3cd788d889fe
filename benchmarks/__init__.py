"""Measurements of the product on the machine at hand, each beside a peer measured in the same run.

`python -m benchmarks` (or `make bench`) runs them all and writes docs/benchmarks.md.
"""
