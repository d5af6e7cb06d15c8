"""Enhancement of files of any length, rate and number of channels, in bounded memory."""
