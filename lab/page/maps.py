"""What a net's first two convolutions make of a digit, as the page is told."""

SHOWN = 16  # maps of a convolution, at most
STEPS = 127  # from zero to the largest value, in each direction


def describe(watched):
    """A `Watched` as plain values, for JSON.

    name: in the net. size: how many maps it has, and their height and width in pixels.
    largest: the largest absolute value of the maps that are shown. maps: the first 16 of them, as
    whole numbers from -127 to 127, which stand for -largest to largest.
    """
    maps = watched.maps[:SHOWN].float().nan_to_num()
    largest = maps.abs().max()
    steps = (maps * (STEPS / largest.clamp(min=1e-30))).round().int()
    return {"name": watched.name, "size": list(watched.maps.shape), "largest": largest.item(),
            "maps": steps.tolist()}
