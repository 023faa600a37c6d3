"""Medians and quantiles. Nothing here is fitted, smoothed or left out."""

import math


def clean(values):
    return sorted(v for v in values if v is not None and not math.isnan(v))


def median(values):
    return quantile(values, 0.5)


def quantile(values, share):
    """By linear interpolation between the two nearest; NaN of nothing."""
    v = clean(values)
    if not v:
        return float("nan")
    at = share * (len(v) - 1)
    low = int(at)
    high = min(low + 1, len(v) - 1)
    return v[low] + (v[high] - v[low]) * (at - low)


def spread(values):
    """(highest - lowest) / median over the rounds."""
    v = clean(values)
    m = median(v)
    return (v[-1] - v[0]) / m if v and m else float("nan")


def by_window(samples, width, start, end, share):
    """Quantile of the values of (time, value) pairs in each window: [(middle, quantile)]."""
    windows = {}
    for t, value in samples:
        if start <= t < end:
            windows.setdefault(int((t - start) / width), []).append(value)
    return [(start + (n + 0.5) * width, quantile(v, share)) for n, v in sorted(windows.items())]
