"""Pictures of a batch in, the same pictures otherwise seen out: moved, mirrored, with parts left out.

All chance comes from torch's generator, on the device of the pictures.
"""

import torch
from torch import Tensor


def moved(pictures: Tensor, down: int, right: int) -> Tensor:
    """Pictures [B, C, H, W], each moved by up to `down` and `right` pixels either way; mirrored at the edge."""
    rows = _places(pictures, pictures.shape[2], down)
    columns = _places(pictures, pictures.shape[3], right)
    numbers = torch.arange(len(pictures), device=pictures.device)
    # Channels last, so that a pixel of all channels is taken at once; the result is laid out so, too.
    taken = pictures.permute(0, 2, 3, 1)[numbers[:, None, None], rows[:, :, None], columns[:, None, :]]
    return taken.permute(0, 3, 1, 2)


def _places(pictures: Tensor, size: int, most: int) -> Tensor:
    """For each picture the places [B, size] along an axis that it is seen at."""
    most = min(most, size - 1)
    shifts = torch.randint(-most, most + 1, (len(pictures), 1), device=pictures.device)
    places = (torch.arange(size, device=pictures.device) + shifts).abs()
    return size - 1 - (size - 1 - places).abs()


def mirrored(pictures: Tensor) -> Tensor:
    """Every other picture, by chance, with left and right exchanged."""
    chosen = torch.rand(len(pictures), device=pictures.device) < 0.5
    return torch.where(chosen[:, None, None, None], pictures.flip(3), pictures)


def without_square(pictures: Tensor, height: int, width: int) -> Tensor:
    """Pictures with zeros in a rectangle around a place of their own (DeVries and Taylor 2017)."""
    down = _near(pictures, pictures.shape[2], height)
    right = _near(pictures, pictures.shape[3], width)
    return pictures.masked_fill((down[:, :, None] & right[:, None, :])[:, None], 0)


def without_bands(levels: Tensor, bands: int, frames: int) -> Tensor:
    """Spectrograms [B, 1, bands, frames] with zeros in some neighbouring bands and frames (SpecAugment, Park 2019)."""
    down = _near(levels, levels.shape[2], bands)
    right = _near(levels, levels.shape[3], frames)
    return levels.masked_fill((down[:, :, None] | right[:, None, :])[:, None], 0)


def _near(pictures: Tensor, size: int, most: int) -> Tensor:
    """[B, size]: which places along an axis lie in an interval of up to `most` of them."""
    shape = (len(pictures), 1)
    centre = torch.randint(0, size, shape, device=pictures.device)
    length = torch.randint(0, most + 1, shape, device=pictures.device)
    offset = torch.arange(size, device=pictures.device) - centre + length // 2
    return (offset >= 0) & (offset < length)


def later(levels: Tensor, most: int) -> Tensor:
    """Spectrograms moved by up to `most` frames either way; at the end that opens, its last frame goes on."""
    frames = levels.shape[3]
    shifts = torch.randint(-most, most + 1, (len(levels), 1), device=levels.device)
    places = (torch.arange(frames, device=levels.device) + shifts).clamp(0, frames - 1)
    return levels.gather(3, places[:, None, None, :].expand(levels.shape))
