"""Test sets: their files, their references, their experiment or folder."""
