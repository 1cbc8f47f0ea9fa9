"""Pages about runs, finished and running, in a server of their own.

`server` is the door, `guard` decides who comes in; `handlers` answer in HTML, `overview` in figures that live, and `application`
puts them together. What the pages know about runs they are given (`swath.commands.shelf`).
"""
