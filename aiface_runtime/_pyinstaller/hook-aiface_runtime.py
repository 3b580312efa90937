"""Hook of PyInstaller: the bundled model goes along, and the modules that are found by their names alone."""  # noqa: N999

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

datas = collect_data_files("aiface_runtime.models")
hiddenimports = ["aiface_runtime.models", *collect_submodules("aiface_runtime.images")]
