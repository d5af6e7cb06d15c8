"""Comparison of systems: intervals, tests, effect sizes, tables."""
