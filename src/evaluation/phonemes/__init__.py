"""Phones of a test set: their times, their classes, and how well each is enhanced.

``classes`` maps labels onto classes; ``sources`` takes alignments from TextGrids (``textgrid``),
the manifest or the ``aligner``; ``segments`` collects them for a test set; ``pooled`` and
``concatenated`` compute; ``tables`` and ``plot`` show.
"""
