"""The reference ResNet, for Keras."""
