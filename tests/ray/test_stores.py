"""Photos in stores other than the local disk, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aiface_runtime.errors import UsageError
from aiface_runtime.ray import classify

from .test_classify import records

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

pytestmark = pytest.mark.filterwarnings("default")


def test_a_store_is_read_as_the_disk_is(cluster: Cluster, folder: Path, expected: dict[str, dict[str, Any]]) -> None:
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    store = SubTreeFileSystem(str(folder), LocalFileSystem())
    names = ["0", "empty.jpg", "no.jpg", "huge.jpg", "none.jpg", "0"]
    found = {record["input"]: record for record in records(classify(names, filesystem=store))}
    good = {name for name in expected if name.startswith(f"{folder}/0/")}
    assert found.keys() == {name.removeprefix(f"{folder}/") for name in good} | set(names[1:-1])
    for name in good:
        record = found[name.removeprefix(f"{folder}/")]
        assert {key: record[key] for key in expected[name] if key != "input"} == {
            key: value for key, value in expected[name].items() if key != "input"
        }
    codes = {name: found[name]["error"]["code"] for name in names[1:-1]}
    assert codes == {
        "empty.jpg": "not_an_image", "no.jpg": "not_an_image", "huge.jpg": "too_large", "none.jpg": "not_found"
    }  # fmt: skip


def test_an_address_keeps_its_name_and_loses_its_password() -> None:
    from aiface_runtime.ray.stores import store_of

    store, address = store_of("s3://KEY:SECRET@bucket/a b/50%25 #1.jpg?region=eu-west-1")
    assert address == "s3://bucket/a b/50%25 #1.jpg"
    assert store.path_of(address) == "bucket/a b/50%25 #1.jpg"
    assert store.address_of("bucket/c.jpg") == "s3://bucket/c.jpg"


@pytest.mark.parametrize("names", [["nowhere://a/b"], ["s3://a/?region=x", "/tmp"], [], 3])
def test_what_is_no_source_is_one_line(cluster: Cluster, names: Any) -> None:
    with pytest.raises(UsageError):
        classify(names)
