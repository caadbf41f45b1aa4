#!/usr/bin/python3
"""Writes test/golden/grad/*: networks exported by PyTorch, and PyTorch's loss, gradients and updates for them.

    /usr/bin/python3 scripts/golden-grad.py        (Debian's python3-torch, 1.13, and python3-onnx; seeded, CPU)

NAME.onnx.gz       the network, exported by torch.onnx.export with a symbolic batch
NAME.gz            safetensors layout: 8 bytes length of the header, JSON header, raw float32/int64 data, all gzipped
optimizers.json    parameters after each of three steps, for every optimiser

Gradients are computed in float64 from the exported float32 weights, so that the goldens are the truth rather than another
rounding of it, and stored as float32 with 15 bits of mantissa (an error below 1e-5, the tests allow 1e-4): the last byte of every
number is zero and compresses away. Weights are multiples of 1/512 for the same reason.
"""
import gzip
import io
import json
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

OUT = os.path.join(os.path.dirname(__file__), '..', 'test', 'golden', 'grad')
BATCH = 4


class MnistCnn(nn.Module):
    """The CNN of BadNets (Gu et al. 2017), 281 034 parameters."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5)
        self.conv2 = nn.Conv2d(16, 32, 5)
        self.fc1 = nn.Linear(512, 512)
        self.fc2 = nn.Linear(512, 10)

    def forward(self, x):
        x = F.avg_pool2d(F.relu(self.conv1(x)), 2)
        x = F.avg_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(torch.flatten(x, 1))))


class Block(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.down = None
        if stride != 1 or c_in != c_out:
            self.down = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.down is None else self.down(x)))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.block1 = Block(8, 8, 1)
        self.block2 = Block(8, 16, 2)
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        x = self.pool(F.relu(self.bn(self.conv(x))))
        x = self.block2(self.block1(x))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Depthwise(nn.Module):
    """Separable convolutions, ReLU6, squeeze-and-excitation, padded average pooling, concatenation of a split."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.dw1 = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.pw1 = nn.Conv2d(8, 12, 1)
        self.squeeze = nn.Linear(12, 4)
        self.excite = nn.Linear(4, 12)
        self.dw2 = nn.Conv2d(12, 24, 3, 1, 2, dilation=2, groups=12)
        self.up = nn.ConvTranspose2d(24, 6, 2, 2)
        self.pool = nn.AvgPool2d(3, 2, 1, count_include_pad=False)
        self.fc = nn.Linear(6 * 7 * 7, 7)

    def forward(self, x):
        x = F.relu6(self.pw1(F.leaky_relu(self.dw1(self.stem(x)), 0.1)))
        gate = torch.sigmoid(self.excite(torch.tanh(self.squeeze(x.mean((2, 3))))))
        x = x * gate.view(-1, 12, 1, 1)
        x = torch.cat([x[:, 6:], x[:, :6] * x[:, :6]], 1)
        x = self.pool(self.up(self.dw2(x)))
        return self.fc(x.reshape(x.size(0), -1))


def seeded(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        fan = p[0].numel() if p.dim() > 1 else 0
        scale = (2 / fan) ** 0.5 if fan else 0.2
        values = torch.randn(p.shape, generator=generator) * scale
        # Scales of batch norms lie around 1.
        p.data = torch.round(values * 512) / 512 + (1.0 if p.dim() == 1 and 'bn' in name and 'weight' in name else 0.0)
    for name, b in model.named_buffers():
        if name.endswith('running_mean'):
            b.data = torch.round(torch.randn(b.shape, generator=generator) * 64) / 512
        elif name.endswith('running_var'):
            b.data = 0.5 + torch.round(torch.rand(b.shape, generator=generator) * 512) / 512
    return model.eval()


def cut(array):
    """Rounds a float32 array to 15 bits of mantissa."""
    bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x80) & 0xFFFFFF00).astype(np.uint32).view(np.float32)


def write(name, tensors):
    header, data, at = {}, [], 0
    for key, value in tensors.items():
        array = value.detach().numpy()
        if array.dtype == np.int64:
            dtype = 'I64'
        else:
            # The point at which the gradients are taken has to be exact; it has few bits to begin with.
            dtype, array = 'F32', array.astype(np.float32) if key in ('x', 'labels', 'weights') else cut(array)
        raw = np.ascontiguousarray(array).tobytes()
        header[key] = {'dtype': dtype, 'shape': list(array.shape), 'data_offsets': [at, at + len(raw)]}
        data.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(',', ':')).encode()
    with open(os.path.join(OUT, name + '.gz'), 'wb') as f:
        f.write(gzip.compress(len(text).to_bytes(8, 'little') + text + b''.join(data), 9, mtime=0))


def export(name, model, shape, opset):
    file = io.BytesIO()
    # PRESERVE keeps the batch norms: an export for inference would fold them into the convolutions.
    torch.onnx.export(model, torch.zeros(1, *shape), file, opset_version=opset, input_names=['x'], output_names=['logits'],
                      dynamic_axes={'x': {0: 'batch'}, 'logits': {0: 'batch'}}, do_constant_folding=False,
                      training=torch.onnx.TrainingMode.PRESERVE)
    with open(os.path.join(OUT, name + '.onnx.gz'), 'wb') as f:
        f.write(gzip.compress(file.getvalue(), 9, mtime=0))


def golden(name, model, shape, labels, weights=None, train=False):
    model = model.double()
    model.train(train)
    generator = torch.Generator().manual_seed(99)
    x = (torch.round(torch.randn(BATCH, *shape, generator=generator) * 128) / 128).double().requires_grad_()
    logits = model(x)
    per_sample = F.cross_entropy(logits, labels if labels.dtype == torch.int64 else labels.double(), reduction='none')
    loss = per_sample.mean() if weights is None else (per_sample * weights.double()).sum() / weights.double().sum()
    model.zero_grad()
    loss.backward()
    out = {'x': x, 'labels': labels, 'logits': logits, 'loss': loss, 'grad:x': x.grad}
    if weights is not None:
        out['weights'] = weights
    for key, p in model.named_parameters():
        out['grad:' + key] = p.grad
    if train:
        for key, b in model.named_buffers():
            if 'running' in key:
                out['running:' + key] = b
    write(name, out)
    model.float()


def optimizers():
    generator = torch.Generator().manual_seed(5)
    start = {'w': torch.randn(2, 3, generator=generator), 'b': torch.randn(3, generator=generator)}
    gradients = [{k: torch.randn(v.shape, generator=generator) for k, v in start.items()} for _ in range(3)]
    rates = [0.1, 0.05, 0.2]
    cases = [
        ({'kind': 'sgd'}, torch.optim.SGD, {}),
        ({'kind': 'sgd', 'weightDecay': 0.1}, torch.optim.SGD, {'weight_decay': 0.1}),
        ({'kind': 'sgd', 'momentum': 0.9}, torch.optim.SGD, {'momentum': 0.9}),
        ({'kind': 'sgd', 'momentum': 0.8, 'weightDecay': 0.01}, torch.optim.SGD, {'momentum': 0.8, 'weight_decay': 0.01}),
        ({'kind': 'sgd', 'momentum': 0.9, 'weightDecay': 0.1, 'nesterov': True}, torch.optim.SGD,
         {'momentum': 0.9, 'weight_decay': 0.1, 'nesterov': True}),
        ({'kind': 'adam'}, torch.optim.Adam, {}),
        ({'kind': 'adam', 'beta1': 0.8, 'beta2': 0.95, 'epsilon': 1e-4, 'weightDecay': 0.1}, torch.optim.Adam,
         {'betas': (0.8, 0.95), 'eps': 1e-4, 'weight_decay': 0.1}),
        ({'kind': 'adamw', 'weightDecay': 0.1}, torch.optim.AdamW, {'weight_decay': 0.1}),
    ]
    numbers = lambda tensors: {k: [float(v) for v in t.flatten()] for k, t in tensors.items()}
    results = []
    for options, make, arguments in cases:
        parameters = {k: nn.Parameter(v.double().clone()) for k, v in start.items()}
        optimizer = make(parameters.values(), lr=0.1, **arguments)
        steps = []
        for gradient, rate in zip(gradients, rates):
            for group in optimizer.param_groups:
                group['lr'] = rate
            for k, p in parameters.items():
                p.grad = gradient[k].double()
            optimizer.step()
            steps.append(numbers({k: p.data for k, p in parameters.items()}))
        results.append({'options': options, 'steps': steps})
    content = {'dims': {k: list(v.shape) for k, v in start.items()}, 'start': numbers(start), 'rates': rates,
               'gradients': [numbers(g) for g in gradients], 'cases': results}
    with open(os.path.join(OUT, 'optimizers.json'), 'w') as f:
        json.dump(content, f, indent=1)
        f.write('\n')


def main():
    os.makedirs(OUT, exist_ok=True)
    hard = lambda classes: torch.arange(BATCH) * 3 % classes

    cnn = seeded(MnistCnn(), 1)
    export('mnist-cnn', cnn, (1, 28, 28), 12)
    golden('mnist-cnn', cnn, (1, 28, 28), hard(10))

    resnet = seeded(ResNet(), 2)
    export('resnet', resnet, (3, 12, 12), 17)
    soft = torch.round(F.softmax(torch.randn(BATCH, 5, generator=torch.Generator().manual_seed(7)), 1) * 256) / 256
    golden('resnet-inference', resnet, (3, 12, 12), soft)
    golden('resnet-training', resnet, (3, 12, 12), hard(5), train=True)

    depthwise = seeded(Depthwise(), 3)
    export('depthwise', depthwise, (3, 13, 13), 9)
    golden('depthwise', depthwise, (3, 13, 13), hard(7), weights=torch.tensor([1.0, 0.5, 2.0, 0.25]))

    optimizers()


main()
