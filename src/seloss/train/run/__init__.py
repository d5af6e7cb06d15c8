"""One run: its folder, its processes, its machine."""
