"""Charts as SVG: a white card with dark text, which reads on any page."""

import html
import math

COLOURS = ("#0b6bcb", "#d1690e", "#1a7f52", "#8a3ab9", "#b3261e", "#5f6b7a")
INK, FAINT = "#1f2328", "#d8dee4"


class Canvas:
    def __init__(self, width, height, title):
        self.width, self.height = width, height
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="{INK}">',
            f"<title>{html.escape(title)}</title>",
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="#fff" stroke="{FAINT}"/>',
        ]
        self.text(16, 26, title, size=15, weight="bold")

    def text(self, x, y, words, anchor="start", size=12, weight="normal", colour=INK, turn=False):
        rotate = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
            f'fill="{colour}"{rotate}>{html.escape(words)}</text>'
        )

    def line(self, x1, y1, x2, y2, colour=FAINT, width=1, dash=""):
        dash = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"{dash}/>'
        )

    def path(self, points, colour, dash=""):
        dash = f' stroke-dasharray="{dash}"' if dash else ""
        d = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.parts.append(f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')

    def dot(self, x, y, colour, hollow=False):
        fill = "#fff" if hollow else colour
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}" stroke-width="1.5"/>')

    def legend(self, x, y, entries):
        """entries: (name, colour, dash or None for a dot), side by side"""
        for name, colour, dash in entries:
            if dash is None:
                self.dot(x + 8, y - 4, colour)
            else:
                self.line(x, y - 4, x + 18, y - 4, colour, 2, dash)
            self.text(x + 24, y, name)
            x += 40 + 7.4 * len(name)

    def finish(self):
        return "\n".join([*self.parts, "</svg>", ""])


class Scale:
    """From values to pixels."""

    def __init__(self, low, high, start, end, log=False):
        self.log = log
        self.low, self.high = (math.log10(low), math.log10(high)) if log else (low, high)
        self.start, self.end = start, end

    def __call__(self, value):
        value = math.log10(value) if self.log else value
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self):
        if self.log:
            exponents = range(math.floor(self.low + 1e-9), math.ceil(self.high - 1e-9) + 1)
            steps = (1, 2, 5) if self.high - self.low < 2.2 else (1,)
            values = [m * 10.0**e for e in exponents for m in steps]
            return [v for v in values if self.low - 1e-9 <= math.log10(v) <= self.high + 1e-9]
        step = next(s for s in (0.1, 0.25, 0.5, 1, 2, 5, 10, 25, 50, 100) if (self.high - self.low) / s <= 8)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def number(x):
    if x >= 1e6:
        return f"{x / 1e6:g}M"
    return f"{x / 1e3:g}k" if x >= 1e4 else f"{x:g}"


def around(values, log):
    """Limits that hold all values, on round numbers."""
    low, high = min(values), max(values)
    if not log:
        return 0, high * 1.08
    return 10 ** (math.floor(math.log10(low) * 2) / 2), 10 ** (math.ceil(math.log10(high) * 2) / 2)


def line_panel(canvas, box, title, x_label, y_label, lines):
    """lines: (colour, dash, [(x, y)]); both axes logarithmic."""
    left, top, right, bottom = box
    xs = [x for _, _, points in lines for x, _ in points]
    ys = [y for _, _, points in lines for _, y in points]
    sx = Scale(min(xs), max(xs), left, right, log=True)
    sy = Scale(*around(ys, log=True), bottom, top, log=True)
    for v in sy.ticks():
        canvas.line(left, sy(v), right, sy(v))
        canvas.text(left - 6, sy(v) + 4, number(v), "end")
    for v in sorted(set(xs)):
        canvas.line(sx(v), bottom, sx(v), bottom + 4, INK)
        canvas.text(sx(v), bottom + 17, number(v), "middle")
    canvas.line(left, bottom, right, bottom, INK)
    canvas.text(left, top - 10, title, weight="bold")
    canvas.text((left + right) / 2, bottom + 34, x_label, "middle")
    canvas.text(left - 44, (top + bottom) / 2, y_label, "middle", turn=True)
    for colour, dash, points in lines:
        pixels = [(sx(x), sy(y)) for x, y in sorted(points)]
        canvas.path(pixels, colour, dash)
        for x, y in pixels:
            canvas.dot(x, y, colour, hollow=bool(dash))


def dot_chart(title, x_label, series, rows, log=False, mark_label=""):
    """A line a row. series: names; rows: (label, values in the order of series or None, mark or None); a row of None is
    a gap. A mark is a short dark bar: the target."""
    step, top = 22, 74
    left = 24 + 7.2 * max(len(row[0]) for row in rows if row)
    width = round(left) + 610
    height = top + step * len(rows) + 56
    canvas = Canvas(width, height, title)
    entries = [(name, COLOURS[k], None) for k, name in enumerate(series)]
    canvas.legend(16, 50, entries + ([(mark_label, INK, "")] if mark_label else []))
    values = [v for row in rows if row for v in [*row[1], row[2]] if v is not None]
    low, high = around(values, log)
    scale = Scale(low, high, left, width - 30, log)
    bottom = height - 48
    for v in scale.ticks():
        canvas.line(scale(v), top, scale(v), bottom, INK if v == 1 and low != 0 or v == 0 else FAINT)
        canvas.text(scale(v), bottom + 16, number(v), "middle")
    canvas.text((left + width - 30) / 2, bottom + 36, x_label, "middle")
    y = top + step / 2
    for row in rows:
        if row:
            label, row_values, mark = row
            canvas.text(left - 12, y + 4, label, "end")
            canvas.line(left, y, width - 30, y, "#eef1f4")
            if mark is not None:
                canvas.line(scale(mark), y - 8, scale(mark), y + 8, INK, 2)
            for k, v in enumerate(row_values):
                if v is not None:
                    canvas.dot(scale(v), y, COLOURS[k])
        y += step
    return canvas.finish()
