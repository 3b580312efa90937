"""The page as a Space: what `aiface demo` opens, with the bundled model."""

from aiface_runtime.demo import build, launch_options

demo = build()

if __name__ == "__main__":
    demo.launch(**launch_options())
