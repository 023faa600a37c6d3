"""Two kinds of plots, written as SVG by hand: bars, and lines over time."""

import math
from xml.sax.saxutils import escape

WIDTH, MARGIN, BAR, TOP = 760, 150, 22, 62
COLOURS = {"sallyport": "#0b6e4f", "sallyport-loop": "#6cbf9f", "nginx": "#4062bb", "nginx-511": "#93a8de",
           "haproxy": "#d1495b", "hitch": "#8d6a9f", "h2o": "#edae49", "trafficserver": "#5c5c5c"}
STYLE = ("text{font:13px sans-serif;fill:#444}.t{font-weight:bold;font-size:15px}"
         ".g{stroke:#ccc;stroke-width:1}@media(prefers-color-scheme:dark){text{fill:#ccc}.g{stroke:#555}}")


def _document(height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}">\n<style>{STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n")


def _text(x, y, text, anchor="start", css=""):
    css = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{css}>{escape(str(text))}</text>'


def bars(title, rows, form):
    """rows: [(name, value, lowest, highest)]; the range of the rounds is a thin line."""
    top = max(high for _, _, _, high in rows) or 1
    scale = (WIDTH - MARGIN - 90) / top
    parts = [_text(10, 22, title, css="t")]
    for i, (name, value, low, high) in enumerate(rows):
        y = 40 + i * (BAR + 8)
        middle = y + BAR / 2
        parts += [_text(MARGIN - 8, middle + 5, name, "end"),
                  f'<rect x="{MARGIN}" y="{y}" width="{value * scale:.1f}" height="{BAR}" '
                  f'fill="{COLOURS.get(name, "#888")}"/>',
                  f'<line class="g" x1="{MARGIN + low * scale:.1f}" x2="{MARGIN + high * scale:.1f}" '
                  f'y1="{middle}" y2="{middle}"/>',
                  _text(MARGIN + high * scale + 8, middle + 5, form.format(value))]
    return _document(50 + len(rows) * (BAR + 8), parts)


def lines(title, series, x_title, y_title, shaded=None):
    """series: {name: [(x, y)]}, y on a logarithmic axis. `shaded`: (from, to) on the x axis."""
    height, left, bottom = 440, 60, 50
    points = [p for line in series.values() for p in line if p[1] > 0]
    x0, x1 = min(x for x, _ in points), max(x for x, _ in points)
    y0, y1 = 0.1, 10 ** math.ceil(math.log10(max(max(y for _, y in points), 1.01)))
    right = WIDTH - 130

    def at(x, y):
        share = math.log10(max(y, y0) / y0) / math.log10(y1 / y0)
        return (left + (x - x0) / (x1 - x0) * (right - left),
                height - bottom - share * (height - bottom - TOP))

    parts = [_text(10, 22, title, css="t"), _text(right, height - 10, x_title, "end"),
             _text(10, 44, y_title)]
    if shaded:
        a, b = at(max(shaded[0], x0), y1), at(min(shaded[1], x1), y0)
        parts.append(f'<rect x="{a[0]:.1f}" y="{a[1]:.1f}" width="{b[0] - a[0]:.1f}" '
                     f'height="{b[1] - a[1]:.1f}" fill="#888" fill-opacity="0.15"/>')
    parts += _grid(at, x0, x1, y0, y1, right, left, height - bottom)
    for i, (name, line) in enumerate(series.items()):
        path = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in line)
        colour = COLOURS.get(name, "#888")
        parts += [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>',
                  f'<rect x="{right + 12}" y="{TOP + 2 + i * 20}" width="12" height="12" fill="{colour}"/>',
                  _text(right + 30, TOP + 13 + i * 20, name)]
    return _document(height, parts)


def _grid(at, x0, x1, y0, y1, right, left, bottom):
    parts = []
    for n in range(round(math.log10(y0)), round(math.log10(y1)) + 1):
        y = at(x0, 10.0 ** n)[1]
        parts += [f'<line class="g" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>',
                  _text(left - 6, y + 4, f"{10.0 ** n:g}", "end")]
    for x in range(math.ceil(x0), math.floor(x1) + 1):
        parts.append(_text(at(x, y0)[0], bottom + 18, x, "middle"))
    return parts
