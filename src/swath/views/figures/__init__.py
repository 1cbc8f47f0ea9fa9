"""Bokeh figures of a sweep, a file each; they need numpy and Bokeh, and of swath only this folder and its neighbours.

Whatever is drawn comes from a `swath.views.figures.study.Study`, plain columns with a description, so the same figures
serve a finished run, a page on a scheduler that has nothing of ours installed, and a file without a server. Every
function makes new models each time: a Bokeh model belongs to one document.
"""
