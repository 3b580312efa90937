"""The bundled models: `.onnx` files, their cards, and `index.json`."""
