"""Programs over checkpoints and enhanced audio."""
