"""Phones of a test set: their times, their classes, and the scores of each class.

``classes`` maps labels onto classes; ``sources`` takes alignments from TextGrids (``textgrid``),
the manifest or the ``aligner``; ``segments`` collects them for a test set; ``pooled`` and
``concatenated`` compute the scores; ``tables`` and ``plot`` present them.
"""
