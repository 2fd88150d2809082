"""The engine of ``make reproduce``: checks, plan, Snakemake over the grid of notebooks, chapters, book."""
