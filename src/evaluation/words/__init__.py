"""What a recogniser understands of clean, noisy and enhanced speech: words, phones, confusions."""
