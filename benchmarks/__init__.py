"""Benchmarks: each compares alternatives within one run and prints ratios."""
