#!/usr/bin/env python3
"""What PIL, torchvision's rules and NumPy make of small pictures and arrays; writes test/golden/data/pictures.json.

Run with Debian's python3-pil and python3-numpy: /usr/bin/python3 scripts/golden-pictures.py
"""
import base64
import io
import json
import os

import numpy as np
import PIL
from PIL import Image, features

random = np.random.RandomState(20240601)


def b64(data):
    return base64.b64encode(bytes(data)).decode()


def planar(image):
    a = np.asarray(image)
    return b64(a.tobytes() if a.ndim == 2 else a.transpose(2, 0, 1).tobytes())


def smooth(height, width, channels):
    """Noise that has been blurred: edges, gradients and fine detail at once."""
    small = random.randint(0, 256, (height // 3 + 2, width // 3 + 2, channels), dtype=np.uint8)
    big = Image.fromarray(small.squeeze()).resize((width, height), Image.BICUBIC)
    noise = random.randint(-20, 21, (height, width, channels)).squeeze()
    return Image.fromarray(np.clip(np.asarray(big).astype(int) + noise, 0, 255).astype(np.uint8))


FILTERS = {'nearest': Image.NEAREST, 'bilinear': Image.BILINEAR, 'bicubic': Image.BICUBIC, 'lanczos': Image.LANCZOS}


def resizes():
    out = []
    for channels, size, to in [(1, (13, 17), (7, 5)), (3, (9, 14), (20, 31)), (3, (40, 33), (8, 8)), (1, (6, 50), (6, 10)), (1, (5, 4), (11, 4))]:
        image = smooth(*size, channels)
        case = {'channels': channels, 'height': size[0], 'width': size[1], 'to': to, 'pixels': planar(image), 'results': {}}
        for name, code in FILTERS.items():
            case['results'][name] = planar(image.resize((to[1], to[0]), code))
        out.append(case)
    return out


def torchvision_path(image, resize, crop):
    """torchvision.transforms.functional resize (shorter side) and center_crop, written out; see its _geometry rules."""
    w, h = image.size
    short, long = (w, h) if w <= h else (h, w)
    new_short, new_long = resize, int(resize * long / short)
    new = (new_short, new_long) if w <= h else (new_long, new_short)
    image = image.resize(new, Image.BILINEAR)
    w, h = image.size
    if crop > w or crop > h:
        left, top = (crop - w) // 2 if crop > w else 0, (crop - h) // 2 if crop > h else 0
        right, bottom = (crop - w + 1) // 2 if crop > w else 0, (crop - h + 1) // 2 if crop > h else 0
        padded = Image.new(image.mode, (w + left + right, h + top + bottom))
        padded.paste(image, (left, top))
        image = padded
        w, h = image.size
    top, left = int(round((h - crop) / 2.0)), int(round((w - crop) / 2.0))
    return image.crop((left, top, left + crop, top + crop))


def preparations():
    out = []
    for size, resize, crop in [((40, 57), 16, 14), ((33, 20), 16, 13), ((10, 10), 9, 12), ((20, 31), 11, 11)]:
        image = smooth(*size, 3)
        out.append({
            'height': size[0], 'width': size[1], 'resize': resize, 'crop': crop,
            'pixels': planar(image), 'result': planar(torchvision_path(image, resize, crop)),
        })
    return out


def jpegs():
    image = smooth(21, 35, 3)
    cases = {
        '4:2:0': (image, dict(quality=75)),
        '4:4:4': (image, dict(quality=90, subsampling=0)),
        '4:2:2': (image, dict(quality=80, subsampling=1)),
        'progressive': (image, dict(quality=60, progressive=True)),
        'grey': (image.convert('L'), dict(quality=85)),
    }
    out = {}
    for name, (source, options) in cases.items():
        file = io.BytesIO()
        source.save(file, 'JPEG', **options)
        out[name] = {'file': b64(file.getvalue()), 'height': 21, 'width': 35, 'pixels': planar(Image.open(file))}
    file = io.BytesIO()
    image.convert('CMYK').save(file, 'JPEG')
    out['CMYK'] = {'file': b64(file.getvalue())}
    return out


def pngs():
    image = smooth(6, 9, 3)
    grey = image.convert('L')
    alpha = Image.fromarray(random.randint(0, 2, (6, 9), dtype=np.uint8) * 255)

    def file(i, **options):
        out = io.BytesIO()
        i.save(out, 'PNG', **options)
        return b64(out.getvalue())

    rgba = image.copy()
    rgba.putalpha(alpha)
    la = grey.copy()
    la.putalpha(alpha)
    over = Image.new('RGB', image.size, (255, 255, 255))
    over.paste(image, mask=alpha)
    over_grey = Image.new('L', image.size, 255)
    over_grey.paste(grey, mask=alpha)
    palette = image.quantize(7)
    bits = grey.point(lambda v: 255 if v > 127 else 0, '1')
    deep = Image.fromarray((np.asarray(grey).astype(np.uint16) * 257))
    return {
        'RGB': {'file': file(image), 'channels': 3, 'pixels': planar(image)},
        'grey': {'file': file(grey), 'channels': 1, 'pixels': planar(grey)},
        'RGB and alpha': {'file': file(rgba), 'channels': 3, 'pixels': planar(over)},
        'grey and alpha': {'file': file(la), 'channels': 1, 'pixels': planar(over_grey)},
        'palette': {'file': file(palette), 'channels': 3, 'pixels': planar(palette.convert('RGB'))},
        'one bit': {'file': file(bits), 'channels': 1, 'pixels': planar(bits.convert('L'))},
        '16 bits': {'file': file(deep), 'channels': 1, 'pixels': planar(grey)},
    }


def greys():
    image = smooth(8, 8, 3)
    return {'pixels': planar(image), 'grey': planar(image.convert('L'))}


def arrays():
    values = {
        'f4': np.array([[1.5, -2], [3, 0.25]], '<f4'),
        'f8': np.array(3.25),
        'f2': np.array([1.5, -2], '<f2'),
        'i8': np.array([1, -2, 1 << 40], '<i8'),
        'big': np.arange(24, dtype='>i4').reshape(2, 3, 4),
        'fortran': np.asfortranarray(np.arange(24, dtype='<i2').reshape(2, 3, 4)),
        'bool': np.array([True, False, True]),
        'complex': np.array([1 + 2j, 3 - 4j], '>c8'),
        'empty': np.zeros((0, 3), 'u1'),
        'grad/conv1.weight': np.arange(6, dtype='<f4').reshape(1, 2, 3),
    }
    plain, packed, objects = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez(plain, **values)
    np.savez_compressed(packed, **values)
    np.savez(objects, secret=np.array([{}], dtype=object))
    text, record = io.BytesIO(), io.BytesIO()
    np.save(text, np.array(['cat', 'dog']))
    np.save(record, np.zeros(2, dtype=[('a', 'i4'), ('b', 'f4')]))
    # pairs of real and imaginary part for complex numbers
    flat = {k: (v.astype('c8').view('f4') if k == 'complex' else v).ravel() for k, v in values.items()}
    return {
        'values': {k: {'dims': list(v.shape), 'numbers': [float(x) for x in flat[k]]} for k, v in values.items()},
        'plain': b64(plain.getvalue()), 'packed': b64(packed.getvalue()), 'objects': b64(objects.getvalue()),
        'text': b64(text.getvalue()), 'record': b64(record.getvalue()),
    }


here = os.path.dirname(os.path.abspath(__file__))
path = os.path.join(here, '..', 'test', 'golden', 'data', 'pictures.json')
os.makedirs(os.path.dirname(path), exist_ok=True)
made = {
    'made with': f'Pillow {PIL.__version__}, libjpeg-turbo {features.version("jpg")}, NumPy {np.__version__}',
    'resize': resizes(), 'prepare': preparations(), 'jpeg': jpegs(), 'png': pngs(), 'grey': greys(), 'numpy': arrays(),
}
with open(path, 'w') as f:
    json.dump(made, f, indent=1)
    f.write('\n')
