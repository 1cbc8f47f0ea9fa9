"""Small plots in characters, a file each: a heat map over two parameters; a metric against one, or in the order of the points.

What is drawn are coordinates on axes, as the figures of a browser have them (`swath.views.figures.axes`). Everything returns
lines of (text, style), for `swath.views.ansi.Pen`, and computes on arrays, so that 10^6 points are drawn at once.
"""
