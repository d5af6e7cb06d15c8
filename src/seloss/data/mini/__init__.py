"""The mini corpus: real recordings out of package archives, for trials and tests."""
