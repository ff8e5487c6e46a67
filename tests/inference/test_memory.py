"""What would not fit is refused, on the device that would hold it."""

from __future__ import annotations

import pytest
import torch

from inference.memory import allowed_memory, require_memory


def test_what_fits_to_the_last_byte_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.memory.free_memory", lambda: 100)
    require_memory(100, "a table", "use less")
    require_memory(100, "a table", "use less", torch.device("cpu"))
    message = r"a table would take 101 bytes, but 100 bytes are free; use less"
    with pytest.raises(ValueError, match=message):
        require_memory(101, "a table", "use less")


def test_a_graphics_card_has_what_torch_holds_in_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 60)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 20)
    card = torch.device("cuda", 0)
    require_memory(140, "a table", "use less", card)
    with pytest.raises(ValueError, match="take 141 bytes, but 140 bytes are free"):
        require_memory(141, "a table", "use less", card)


def test_half_of_what_is_free_is_allowed_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.memory.free_memory", lambda: 101)
    assert allowed_memory(None) == 50
    assert allowed_memory(0) == 0
    assert allowed_memory(1000) == 1000


def test_of_other_devices_nothing_is_known() -> None:
    require_memory(2**70, "a table", "use less", torch.device("meta"))
