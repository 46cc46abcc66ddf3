"""The report: one page, its figures and its tables, read from a study folder and nothing else.

`build.build_report(folder)` writes them, `terminal.answer_lines(folder)` is the short form for the
end of a command. This package imports neither torch nor a plotting library; matplotlib is loaded
when figures are drawn.
"""
