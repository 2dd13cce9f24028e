"""images_reference.py - small pictures in every form of PNG and JPEG that is read, and some that are not, as Pillow and
PyTorch see them: what images.safetensors holds. `pictures` writes tests/data/images and the odd ones of tests/data/odd,
which are committed, and made again only by hand."""
import io
import os
import struct
import zlib

import numpy as np
import torch
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "..", "data", "images")
ODD = os.path.join(HERE, "..", "data", "odd")


def smooth(h, w, channels, seed):
    """Waves of each channel and a bit of noise, as bytes."""
    r = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w]
    planes = [128 + 90 * np.sin(y / (2 + k) + seed) * np.cos(x / (3 + k)) + r.uniform(-20, 20, (h, w)) for k in range(channels)]
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) & 0xffffffff)


def png(head, rows, more=b""):
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def interlaced(a):
    """Adam7, each row unfiltered."""
    h, w = a.shape[:2]
    rows = b""
    for y, x, dy, dx in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)):
        part = a[y::dy, x::dx]
        if part.size:
            rows += b"".join(b"\0" + row.tobytes() for row in part)
    return png(struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 1), rows)


def deep(a):
    h, w = a.shape
    return png(struct.pack(">IIBBBBB", w, h, 16, 0, 0, 0, 0), b"".join(b"\0" + row.astype(">u2").tobytes() for row in a))


def jpeg(a, mode, **options):
    out = io.BytesIO()
    Image.fromarray(a if a.shape[-1] != 1 else a[..., 0], mode).save(out, "JPEG", **options)
    return out.getvalue()


def write(name, data, folder=FOLDER):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(data)


def saved(image, **options):
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def pictures():
    colours = smooth(13, 17, 3, 1)
    write("grey.png", saved(Image.fromarray(smooth(9, 14, 1, 2)[..., 0], "L")))
    write("colours.png", saved(Image.fromarray(colours, "RGB")))
    write("alpha.png", saved(Image.fromarray(smooth(11, 8, 4, 3), "RGBA")))
    write("grey_alpha.png", saved(Image.fromarray(smooth(7, 10, 2, 4), "LA")))
    write("palette.png", saved(Image.fromarray(smooth(12, 12, 3, 5), "RGB").quantize(13)))
    write("bits.png", saved(Image.fromarray(smooth(10, 21, 1, 6)[..., 0] > 128)))
    write("interlaced.png", interlaced(smooth(19, 11, 3, 7)))
    write("deep.png", deep(np.arange(15 * 8, dtype=np.uint16).reshape(15, 8) * 546))
    write("whole.jpg", jpeg(smooth(24, 20, 3, 8), "RGB", quality=90, subsampling=0))
    write("halved.jpg", jpeg(smooth(21, 33, 3, 9), "RGB", quality=85, subsampling=2))
    write("progressive.JPEG", jpeg(smooth(30, 18, 3, 10), "RGB", quality=85, progressive=True, subsampling=0))
    write("grey.jpg", jpeg(smooth(16, 16, 1, 11), "L", quality=90))
    odd_pictures()


def odd_pictures():
    good = png(struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0), b"".join(b"\0" + bytes(range(8 * i, 8 * i + 8)) for i in range(8)))
    photo = jpeg(smooth(16, 16, 3, 12), "RGB", quality=90)
    scan = photo.index(b"\xff\xda")
    size = photo.index(b"\xff\xc0") + 5
    odd = {
        "ok.png": good, "ok.jpg": photo, "bad_not.png": b"GIF89a" + good, "bad_empty.png": b"", "bad_truncated.png": good[:-20],
        "bad_crc.png": good[:45] + bytes([good[45] ^ 1]) + good[46:], "bad_head.png": good[:20], "bad_chunk.png": good[:33] + chunk(b"ABCD", b"") + good[33:],
        "bad_bomb.png": png(struct.pack(">IIBBBBB", 0x7fffffff, 0x7fffffff, 8, 2, 0, 0, 0), b""),
        "bad_large.png": png(struct.pack(">IIBBBBB", 40000, 40000, 8, 2, 0, 0, 0), bytes(100)),
        "bad_zero.png": png(struct.pack(">IIBBBBB", 0, 8, 8, 0, 0, 0, 0), b""), "bad_rows.png": png(struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0), bytes(40)),
        "bad_palette.png": png(struct.pack(">IIBBBBB", 8, 8, 8, 3, 0, 0, 0), bytes(72)), "bad_filter.png": png(struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0), bytes([9] * 72)),
        "bad_depth.png": png(struct.pack(">IIBBBBB", 8, 8, 7, 0, 0, 0, 0), bytes(72)),
        "bad_truncated.jpg": photo[:-150], "bad_head.jpg": photo[:40], "bad_bomb.jpg": photo[:size] + b"\xff\xdc\xff\xdc" + photo[size + 4:],
        "bad_print.jpg": jpeg(smooth(8, 8, 4, 13), "CMYK"), "bad_scan.jpg": photo[:scan + 20] + bytes([0xff, 0xd9]), "bad_only.jpg": b"\xff\xd8\xff\xd9",
        "bad_arithmetic.jpg": photo.replace(b"\xff\xc0", b"\xff\xcb", 1),
    }
    for name, data in odd.items():
        write(name, data, ODD)


def seen(path, channels):
    """What Pillow makes of the file, [channels, h, w]."""
    image = Image.open(path)
    if image.mode.startswith("I"):  # 16 bits, which Pillow cuts off
        grey = np.round(np.asarray(image).astype(np.float64) / 257).astype(np.uint8)
        image = Image.fromarray(grey, "L")
    a = np.asarray(image.convert({1: "RGB", 3: "RGB", 4: "RGBA"}[channels]))
    if channels == 1:
        a = np.asarray(image.convert("L") if image.mode in ("L", "1") else Image.fromarray(a, "RGB").convert("L"))[..., None]
    return np.ascontiguousarray(a.transpose(2, 0, 1))


def make():
    out = {}
    for name in sorted(os.listdir(FOLDER)):
        path = os.path.join(FOLDER, name)
        for channels in (1, 3, 4):
            out[f"{name}/{channels}"] = seen(path, channels)
    for name, channels in (("colours.png", 3), ("halved.jpg", 1), ("alpha.png", 4)):
        x = torch.from_numpy(out[f"{name}/{channels}"]).double()[None]
        for h, w in ((5, 7), (8, 30), (27, 4), (1, 1)):
            y = torch.nn.functional.interpolate(x, (h, w), mode="bilinear", antialias=True)[0]
            out[f"{name}/{channels}/resized/{h}x{w}"] = y.float().numpy()
    return out


if __name__ == "__main__":
    pictures()
