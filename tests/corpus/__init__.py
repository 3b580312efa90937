"""Files that hurt decoders, each made by a few lines of code."""
