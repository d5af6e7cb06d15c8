"""Errors of a recogniser on clean, noisy and enhanced speech: words, phones, confusions."""
