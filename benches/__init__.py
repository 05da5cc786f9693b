"""Benchmarks of the Python package: `python -m benches.run`. A module for each case; README.md has the figures."""
