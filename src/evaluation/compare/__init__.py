"""Whether a difference between systems is real: intervals, tests, effect sizes, tables."""
