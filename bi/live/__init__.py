"""Parts of the book that can be played with: HTML that reads without scripts, and data for the scripts beside it.

Everything is computed here, when the book is made; the scripts in ``book/_static`` choose what to show (and, where a
slider has too many places to compute them all, repeat a formula that a test compares with ours).
"""
