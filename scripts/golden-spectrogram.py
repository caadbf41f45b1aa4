#!/usr/bin/env python3
"""Spectrograms of small recordings by NumPy, with the transforms by torch.stft; writes test/golden/data/spectrograms.json.

Written from the four steps in the docstring of src/data/spectrogram.ts. Where those steps pick single windows, torch.stft is given each of them
with center=False. Run with Debian's python3-torch: /usr/bin/python3 scripts/golden-spectrogram.py
"""
import base64
import json
import os
import struct

import numpy as np
import torch

random = np.random.RandomState(20261123)


def b64(data):
    return base64.b64encode(bytes(data)).decode()


def mel(f):
    return 2595 * np.log10(1 + np.asarray(f, float) / 700)


def corners(scale, rows, low, high):
    if scale == 'linear':
        return np.linspace(low, high, rows + 2)
    return 700 * (10 ** (np.linspace(mel(low), mel(high), rows + 2) / 2595) - 1)


def triangles(edges, size, rate):
    """[rows, size / 2 + 1], each row adds up to 1."""
    f = np.arange(size // 2 + 1) * rate / size
    rise = (f[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - f[None]) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0, np.minimum(rise, fall))
    return weights / weights.sum(1, keepdims=True)


def word(x, rate):
    half = max(1, round(0.02 * rate / 2))
    padded = np.pad(x.astype(float) ** 2, half)
    loudness = np.array([padded[i:i + 2 * half + 1].sum() for i in range(len(x))])
    loud = np.nonzero(loudness >= loudness.max() * 10 ** -2)[0]
    margin = round(0.06 * rate)
    return (loud[0] - margin, loud[-1] + 1 + margin) if loudness.max() > 0 else (0, len(x))


def picture(x, rate, height, width, scale, window, low, high, depth, span):
    start, end = word(x, rate)
    if span != 'word':
        middle = (start + end) / 2
        start, end = middle - span * rate / 2, middle + span * rate / 2
    length = max(2, round(window * rate))
    size = 2
    edges = corners(scale, height, low, high)
    while size < length or rate / size > np.diff(edges).min():
        size *= 2
    weights = triangles(edges, size, rate)
    columns = []
    for j in range(width):
        first = int(np.floor(start + (j + 0.5) * (end - start) / width + 0.5)) - length // 2
        places = first + np.arange(length)
        piece = np.where((places >= 0) & (places < len(x)), x[np.clip(places, 0, len(x) - 1)], 0).astype(np.float64)
        # the window stands at the beginning of the padded piece; the magnitude does not know where
        padded = torch.zeros(size, dtype=torch.float64)
        padded[:length] = torch.from_numpy(piece)
        hann = torch.zeros(size, dtype=torch.float64)
        hann[:length] = torch.hann_window(length, periodic=True, dtype=torch.float64)
        out = torch.stft(padded, size, hop_length=size, window=hann, center=False, onesided=True, return_complex=True)
        columns.append(out[:, 0].abs().numpy() ** 2)
    power = np.stack(columns, 1)
    decibels = 10 * np.log10(np.maximum(1e-3, weights @ power))[::-1]
    if decibels.max() <= -30:
        return np.zeros((height, width), np.uint8)
    return np.maximum(0, np.floor(255 * (1 + (decibels - decibels.max()) / depth) + 0.5)).astype(np.uint8)


def chirp(rate, seconds, loud, quiet_before, quiet_after):
    n = int(rate * seconds)
    t = np.arange(n) / rate
    tone = np.sin(2 * np.pi * (300 + 900 * t / seconds) * t) + 0.3 * np.sin(2 * np.pi * 2600 * t) + 0.05 * random.randn(n)
    shaped = loud * np.hanning(n) * tone
    x = np.concatenate([np.zeros(int(quiet_before * rate)), shaped, np.zeros(int(quiet_after * rate))])
    return np.clip(np.round(x + random.randn(len(x))), -32768, 32767).astype(np.int16)


def spectrograms():
    voice = chirp(8000, 0.3, 9000, 0.05, 0.1)
    short = chirp(8000, 0.04, 400, 0, 0)
    fast = chirp(16000, 0.2, 20000, 0.02, 0.02)
    silent = np.zeros(500, np.int16)
    usual = dict(scale='mel', window=0.025, low=50, range=60, span='word')
    out = []
    for name, x, rate, size, change in [
        ('usual', voice, 8000, (64, 64), {}),
        ('seconds', voice, 8000, (32, 24), {'span': 0.64}),
        ('linear', voice, 8000, (33, 16), {'scale': 'linear', 'low': 0, 'range': 80}),
        ('many rows', voice, 8000, (256, 8), {'window': 0.03}),
        ('shorter than a window', short, 8000, (64, 16), {}),
        ('another rate', fast, 16000, (40, 20), {'high': 7000, 'window': 0.01}),
        ('silent', silent, 8000, (16, 16), {}),
    ]:
        view = {**usual, 'high': rate / 2, **change}
        image = picture(x, rate, *size, view['scale'], view['window'], view['low'], view['high'], view['range'], view['span'])
        out.append({
            'name': name, 'rate': rate, 'height': size[0], 'width': size[1], 'view': view,
            'samples': b64(x.astype('<i2').tobytes()), 'pixels': b64(image.tobytes()),
        })
    return out


def resamplings():
    """A sum of sines is known at every rate: what a resampler should give, away from the ends."""
    out = []
    for old, new in [(22050, 8000), (44100, 8000), (8000, 16000), (11025, 8000), (16000, 8000)]:
        tones = [(0.3, 440.0, 0.1), (0.2, 1234.5, 1.0), (0.1, 3000.0, 2.0)]
        at = lambda rate, n: sum(a * np.sin(2 * np.pi * f * np.arange(n) / rate + p) for a, f, p in tones)
        n = int(old * 0.1)
        m = round(n * new / old)
        out.append({'from': old, 'to': new, 'input': b64(at(old, n).astype('<f4').tobytes()), 'output': b64(at(new, m).astype('<f4').tobytes())})
    return out


def wave_files():
    """The same ten samples, two channels of them, in every kind of file that is read; made with struct alone."""
    values = [0, 0.5, -0.5, 0.25, -0.25, 0.75, -0.75, 0.125, -1.0, 0.984375]
    out = []
    for code, bits in [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)]:
        for channels in (1, 2):
            data = b''
            for v in values:
                for c in range(channels):
                    w = v * (1 - 2 * c) if v != -1.0 else v
                    if code == 3:
                        data += struct.pack('<f' if bits == 32 else '<d', w)
                    elif bits == 8:
                        data += struct.pack('<B', int(w * 128) + 128)
                    else:
                        data += struct.pack('<i', int(w * 2 ** (bits - 1)) << (32 - bits))[4 - bits // 8:]
            block = channels * bits // 8
            fmt = struct.pack('<HHIIHH', code, channels, 8000, 8000 * block, block, bits)
            odd = struct.pack('<4sI', b'LIST', 3) + b'abc\0'
            body = b'WAVE' + struct.pack('<4sI', b'fmt ', len(fmt)) + fmt + odd + struct.pack('<4sI', b'data', len(data)) + data
            out.append({
                'code': code, 'bits': bits, 'channels': channels, 'values': values,
                'bytes': b64(b'RIFF' + struct.pack('<I', len(body)) + body),
            })
    return out


if __name__ == '__main__':
    path = os.path.join(os.path.dirname(__file__), '..', 'test', 'golden', 'data', 'spectrograms.json')
    with open(path, 'w') as file:
        json.dump({
            'about': f'scripts/golden-spectrogram.py, torch {torch.__version__}, numpy {np.__version__}',
            'spectrograms': spectrograms(), 'resamplings': resamplings(), 'waves': wave_files(),
        }, file, indent=1)
        file.write('\n')
