"""The two-tier cache: bounds, restarts, damage, sharing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from xaieval.cache import HeatmapCache
from xaieval.errors import ConfigError

KB = 1024


def one_kb(value: float) -> dict[str, np.ndarray]:
    return {"map": np.full(KB // 4, value, np.float32)}


def test_a_value_comes_back_from_memory_and_after_a_restart(tmp_path: Path) -> None:
    cache = HeatmapCache(folder=tmp_path)
    stored = {"map": np.arange(12, dtype=np.float32).reshape(3, 4), "logits": np.array([0.1, -2.0])}
    cache.put("ab" * 32, stored)
    again = HeatmapCache(folder=tmp_path)
    for kept in (cache.get("ab" * 32), again.get("ab" * 32)):
        assert kept is not None
        for name, array in stored.items():
            np.testing.assert_array_equal(kept[name], array)
            assert kept[name].dtype == array.dtype
    assert (cache.info().memory_hits, again.info().disk_hits) == (1, 1)


def test_a_missing_key_is_a_miss(tmp_path: Path) -> None:
    cache = HeatmapCache(folder=tmp_path)
    assert cache.get("00" * 32) is None
    assert cache.info().misses == 1


def test_memory_is_bounded_by_bytes_and_drops_the_least_recently_used(tmp_path: Path) -> None:
    cache = HeatmapCache(memory_bytes=3 * KB, disk_bytes=0, folder=tmp_path)
    for name in "abc":
        cache.put(name, one_kb(1.0))
    assert cache.get("a") is not None
    cache.put("d", one_kb(1.0))
    assert [cache.get(name) is not None for name in "abcd"] == [True, False, True, True]
    assert cache.info().memory_bytes == 3 * KB


def test_an_entry_larger_than_the_memory_lives_on_disk(tmp_path: Path) -> None:
    cache = HeatmapCache(memory_bytes=KB, folder=tmp_path)
    cache.put("big", {"map": np.ones(KB, np.float32)})
    assert cache.info().memory_entries == 0
    assert cache.get("big") is not None


def test_disk_is_bounded_and_evicts_the_oldest(tmp_path: Path) -> None:
    cache = HeatmapCache(memory_bytes=0, disk_bytes=6 * KB, folder=tmp_path)
    for index in range(8):
        cache.put(f"{index}{index}", one_kb(index))
        entry = tmp_path / f"{index}{index}" / f"{index}{index}.xac"
        if entry.exists():
            os.utime(entry, (index, index))
    assert cache.info().disk_bytes <= 6 * KB
    assert cache.get("00") is None
    assert cache.get("77") is not None


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "foreign"])
def test_a_damaged_entry_is_removed_and_reported(tmp_path: Path, harm: str) -> None:
    HeatmapCache(folder=tmp_path).put("abcd", one_kb(3.0))
    path = tmp_path / "ab" / "abcd.xac"
    data = bytearray(path.read_bytes())
    if harm == "cut":
        data = data[:-5]
    elif harm == "flip":
        data[-1] ^= 1
    elif harm == "empty":
        data = bytearray()
    else:
        data = bytearray(b"not one of ours")
    path.write_bytes(bytes(data))
    cache = HeatmapCache(folder=tmp_path)
    with pytest.warns(UserWarning, match="damaged cache entry"):
        assert cache.get("abcd") is None
    assert not path.exists()
    assert cache.info().damaged == 1


def test_a_cached_value_cannot_be_changed_by_its_readers(tmp_path: Path) -> None:
    cache = HeatmapCache(folder=tmp_path)
    cache.put("k", one_kb(1.0))
    kept = cache.get("k")
    assert kept is not None
    with pytest.raises(ValueError, match="read-only"):
        kept["map"][0] = 2.0


def test_an_unwritable_folder_leaves_the_memory_tier(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    cache = HeatmapCache(folder=blocked)
    with pytest.warns(UserWarning, match="memory only"):
        cache.put("k", one_kb(1.0))
    assert cache.get("k") is not None


def test_many_threads_share_it(tmp_path: Path) -> None:
    cache = HeatmapCache(memory_bytes=8 * KB, disk_bytes=20 * KB, folder=tmp_path)
    errors: list[BaseException] = []

    def use(seed: int) -> None:
        try:
            for step in range(60):
                key = f"{(seed * 7 + step) % 40:02d}"
                kept = cache.get(key)
                if kept is None:
                    cache.put(key, one_kb(float(key)))
                else:
                    assert kept["map"][0] == float(key)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert cache.info().memory_bytes <= 8 * KB


def test_clear_forgets_both_tiers(tmp_path: Path) -> None:
    cache = HeatmapCache(folder=tmp_path)
    cache.put("k", one_kb(1.0))
    cache.clear()
    assert cache.get("k") is None
    assert HeatmapCache(folder=tmp_path).get("k") is None


def test_sizes_must_make_sense() -> None:
    with pytest.raises(ConfigError, match="bytes >= 0"):
        HeatmapCache(memory_bytes=-1)


def test_what_is_kept_in_memory_only_is_gone_with_it(tmp_path: Path) -> None:
    cache = HeatmapCache(folder=tmp_path)
    cache.put("ab" * 16, {"values": np.ones(3, np.float32)}, disk=False)
    found = cache.get("ab" * 16)
    assert found is not None
    assert found["values"].tolist() == [1, 1, 1]
    assert HeatmapCache(folder=tmp_path).get("ab" * 16) is None
