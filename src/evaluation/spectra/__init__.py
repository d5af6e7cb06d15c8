"""Speech kept, noise left and artefacts, over frequency."""
