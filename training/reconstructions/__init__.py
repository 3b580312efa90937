"""Real photos reconstructed by autoencoders: the same content with a decoder's traces."""
