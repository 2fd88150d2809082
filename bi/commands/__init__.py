"""The stages of the corridor as commands over plain files; :mod:`bi.__main__` is the door."""
