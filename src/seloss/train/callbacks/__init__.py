"""Callbacks of a run: checkpoints, record, interruption, audio, profile, balance of losses."""
