"""What looks wrong with images that can be read, a line each."""

import torch

from readers.folders import UNUSED, find_folders


def list_cautions(folder, images, inverted):
    """Lines of text on the images of a folder, uint8 (N, 1, H, W), and on what is not read there.

    inverted: whether they were turned after they were read.
    """
    lines = []
    border = torch.ones(images.shape[2:], dtype=torch.bool, device=images.device)
    border[1:-1, 1:-1] = False
    if images[..., border].float().mean() > 255 / 2:
        lines.append(f"{folder}: the images look like black on white, while MNIST is white on "
                     f"black; {'leave out --invert' if inverted else '--invert turns them'}")
    low, high = (value.item() for value in images.aminmax())
    if high - low < 128:  # 7 bits would do; MNIST and the sets made like it use all 8
        lines.append(f"{folder}: the pixels go from {low} to {high}, while MNIST's go from 0 to "
                     "255; scale them to that range")
    return lines + [f"{path}: not used; --validate holds out a sixth of the training images"
                    for path in find_folders(folder, UNUSED)]
