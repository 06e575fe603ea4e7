"""Explanation Alignment's experiments, one file each."""
