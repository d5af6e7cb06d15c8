"""Style of plots, and plots of several experiments."""
