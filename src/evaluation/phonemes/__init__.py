"""Phones of a test set: where they are, which class they belong to, how well each is enhanced.

`classes` maps labels onto classes; `alignment`, `textgrid` and `aligner` say where each phone is;
`segments` collects them for a test set; `pooled` and `concatenated` compute; `tables` and `figure`
show.
"""
