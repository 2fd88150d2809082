"""Problems as directed acyclic graphs of quantities. Nothing here imports torch."""
