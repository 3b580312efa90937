"""The network's graph, what is put around it, and its variants in fewer bits."""
