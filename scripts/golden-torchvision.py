#!/usr/bin/python3
"""Exports torchvision classifiers with seeded random weights, and PyTorch's loss and gradients for them, for `secateur gradcheck`.

    /usr/bin/python3 scripts/golden-torchvision.py --out DIR [--nets resnet18,vit_b_16] [--opsets 11,13,17] [--norms folded,kept]
    npx tsx scripts/golden-check.ts DIR                  (compares all of them with ours and prints the table)

NET-opsetK-folded.onnx  as the exporter does it for inference: batch norms folded into convolutions, constants folded
NET-opsetK-kept.onnx    batch norms kept as nodes that use their running statistics, nothing folded
*.npz                   input, labels, logits, loss (mean cross-entropy), grad/<name> for the input and every initialiser that is a
                        parameter. Where the exporter renamed, transposed or folded a parameter it is found by its value.
*.json                  size, milliseconds of PyTorch's forward and backward pass, and parameters that are no initialiser of the file

At a kink (a ReLU's input at 0, two equal values in a window of MaxPool) rounding decides what the gradient is, and in a network with
millions of units some lie there: PyTorch's own float32 and float64 gradients of SqueezeNet differ by 6e-3 in the input's, after one
such unit. So biases are moved by some 1e-5, and inputs drawn again, until no unit lies closer to a kink than rounding reaches.

Debian's python3-torch 1.13, python3-torchvision 0.14, python3-onnx 1.12. The files are large (VGG-11: 1 GB a variant) and belong
outside the repository.
"""
import argparse
import copy
import json
import os
import time

import numpy as np
import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from onnx import numpy_helper
from torch.nn.utils.fusion import fuse_conv_bn_eval

MUST = ['resnet18', 'resnet50', 'vgg11', 'mobilenet_v2', 'squeezenet1_1', 'vit_b_16']
# Side of the input; nets that are not named here are given 224 pixels.
OTHERS = {
    'vgg11_bn': 224, 'alexnet': 224, 'resnext50_32x4d': 96, 'wide_resnet50_2': 96, 'densenet121': 96, 'googlenet': 96, 'inception_v3': 107,
    'mnasnet0_5': 96, 'mnasnet1_0': 96, 'shufflenet_v2_x0_5': 96, 'shufflenet_v2_x1_0': 96, 'squeezenet1_0': 96, 'mobilenet_v3_small': 96,
    'mobilenet_v3_large': 96, 'efficientnet_b0': 96, 'efficientnet_v2_s': 96, 'regnet_x_400mf': 96, 'regnet_y_400mf': 96,
    'convnext_tiny': 96, 'swin_t': 96, 'swin_v2_t': 128, 'maxvit_t': 224,
}
# Two images, but one where there are so many windows to pool that hardly any pair of images has no two values almost equal.
ONE_IMAGE = ['vgg11', 'vgg11_bn', 'squeezenet1_0', 'squeezenet1_1', 'googlenet', 'inception_v3', 'alexnet']
CLASSES = {'vgg11': 1000}


def built(name, seed):
    """The network in evaluation mode, with weights under which every part of it matters: no zero or equal parameters, batch norms that
    scale and shift, running statistics near (not at) those of the data."""
    torch.manual_seed(seed)
    extra = {'aux_logits': False, 'init_weights': True} if name in ('googlenet', 'inception_v3') else {}
    net = getattr(torchvision.models, name)(weights=None, num_classes=CLASSES.get(name, 100), **extra).eval()
    for key, p in net.named_parameters():
        with torch.no_grad():
            if 'layer_scale' in key:
                p.copy_(0.3 + 0.1 * torch.randn(p.shape))
            elif p.dim() <= 1 or p.numel() == max(p.shape):
                p.copy_(p + 0.2 * torch.randn(p.shape) if p.abs().max() > 0 and p.min() == p.max() else p + 0.05 * torch.randn(p.shape))
            elif p.abs().max() == 0:
                p.copy_(0.05 * torch.randn(p.shape))
    def statistics(norm, inputs):
        # Of what arrives behind the norms that are set already, so that scales do not build up from layer to layer. The scale is that of
        # the second moment, and means are taken off by chance only: on noise a channel hardly varies beside its mean, and a norm that
        # takes the mean off and divides by the rest makes rounding grow from layer to layer, until kinks cannot be kept away from.
        x = inputs[0].transpose(0, 1).flatten(1)
        moment = x.square().mean(1)
        norm.running_mean.copy_(0.1 * moment.sqrt() * torch.randn(len(x)))
        norm.running_var.copy_(moment.clamp(min=0.05 * moment.mean().item()) * torch.exp(0.2 * torch.randn(len(x))))
    hooks = [m.register_forward_pre_hook(statistics) for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    if hooks:
        with torch.no_grad():
            net(torch.randn(4, 3, size_of(name), size_of(name)))
        for hook in hooks:
            hook.remove()
    return net


class TooClose(Exception):
    pass


class Patched:
    """While this is entered, `each(x, kinks)` sees the input of every activation that has kinks, and gives what is used in its place;
    `pool(x, kernel, stride, padding, ceil_mode, out)` sees what MaxPool is given and gives."""

    def __init__(self, each, pool):
        self.each, self.on_pool = each, pool

    def __enter__(self):
        self.saved = saved = {name: getattr(F, name) for name in ('relu', 'hardtanh', 'hardswish', 'hardsigmoid', 'max_pool2d')}
        wrap = lambda name, kinks: lambda x, *a, **k: saved[name](self.each(x, kinks(*a, **k)), *a, **k)
        F.relu = wrap('relu', lambda *_, **__: [0.0])
        F.hardtanh = wrap('hardtanh', lambda low=-1.0, high=1.0, *_, **k: [k.get('min_val', low), k.get('max_val', high)])
        F.hardswish = wrap('hardswish', lambda *_, **__: [-3.0, 3.0])
        F.hardsigmoid = wrap('hardsigmoid', lambda *_, **__: [-3.0, 3.0])

        def pool(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
            out = saved['max_pool2d'](x, kernel_size, stride or kernel_size, padding, dilation, ceil_mode=ceil_mode)
            self.on_pool(x, kernel_size, stride or kernel_size, padding, ceil_mode, out)
            return out
        F.max_pool2d = pool
        return self

    def __exit__(self, *_):
        for name, function in self.saved.items():
            setattr(F, name, function)


def roundings(net, x):
    """How far float32 is from float64 (root mean square) at each activation and pool, in the order in which they are run."""
    seen = []
    keep = lambda x, *_: seen.append(x.clone()) or x
    with torch.no_grad(), Patched(keep, keep):
        net(x)
        single, seen = seen, []
        copy.deepcopy(net).double()(x.double())
    return [(a - b).square().mean().sqrt().item() for a, b in zip(single, seen)]


class Kinks:
    """Moves the bias before every activation with kinks so that no unit lies within rounding of one; pooling over two values that are
    almost equal throws TooClose."""

    def __init__(self, net, roundings):
        self.net, self.roundings, self.at, self.last, self.moved, self.left = net, roundings, 0, None, 0, 0

    def __enter__(self):
        note = lambda module, *_: setattr(self, 'last', module)
        self.hooks = [m.register_forward_hook(note) for m in self.net.modules()
                      if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear)) and m.bias is not None]
        self.patched = Patched(self.away, self.pool)
        self.patched.__enter__()
        return self

    def __exit__(self, *_):
        self.patched.__exit__()
        for hook in self.hooks:
            hook.remove()

    def rounding(self):
        self.at += 1
        return self.roundings[self.at - 1]

    def away(self, x, kinks):
        rows = x.transpose(0, 1).flatten(1)
        margin = max(8 * self.rounding(), 1e-6 * rows.std().item())
        near = lambda row: min((row - k).abs().min().item() for k in kinks)
        bad = torch.stack([(rows - k).abs().amin(1) for k in kinks]).amin(0).lt(margin).nonzero().flatten().tolist()
        for c in bad:
            if self.last is None or len(self.last.bias) != len(rows):
                self.left += 1
                continue
            for j in range(2, 2000):
                shift = (j // 2) * margin * (1 if j % 2 else -1)
                if near(rows[c] + shift) >= margin:
                    self.last.bias[c] += shift
                    x[:, c] += shift
                    self.moved += 1
                    break
            else:
                self.left += 1
        return x

    def pool(self, x, kernel, stride, padding, ceil_mode, out):
        more = stride if ceil_mode else 0
        padded = F.pad(x, (padding, padding + more, padding, padding + more), value=float('-inf'))
        windows = padded.unfold(2, kernel, stride).unfold(3, kernel, stride)[:, :, :out.shape[2], :out.shape[3]].flatten(-2)
        first, second = windows.topk(2, -1).values.unbind(-1)
        # Equal values are zeros, which carry no gradient, or came out of a pool before, both from the same place.
        if ((first - second < 5 * self.rounding()) & (first != second)).any():
            raise TooClose()


def settled(net, name, batch, seed):
    """The input at which, after small moves of biases, no unit lies at a kink."""
    start = {k: v.clone() for k, v in net.state_dict().items()}
    errors = None
    for attempt in range(400):
        torch.manual_seed(seed * 1000 + attempt)
        x = torch.randn(batch, 3, size_of(name), size_of(name))
        errors = errors or roundings(net, x)
        try:
            with torch.no_grad(), Kinks(net, errors) as kinks:
                net(x)
        except TooClose:
            net.load_state_dict(start)
            continue
        print(f'{name}: {kinks.moved} biases moved, {kinks.left} units left near a kink, input {attempt + 1}', flush=True)
        return x
    net.load_state_dict(start)
    print(f'{name}: no input without near-equal values in a pooling window', flush=True)
    return x


def size_of(name):
    return OTHERS.get(name, 224)


def folded(net, x):
    """A copy whose batch norms are folded into the convolutions that they follow, found by running it: not every net can be traced."""
    net = copy.deepcopy(net)
    modules, made, pairs, hooks = dict(net.named_modules()), {}, [], []
    for name, m in modules.items():
        if isinstance(m, nn.Conv2d):
            # The tensor is kept, so that no other can be given its number.
            hooks.append(m.register_forward_hook(lambda _m, _i, output, name=name: made.update({id(output): (name, output)})))
        elif isinstance(m, nn.BatchNorm2d):
            hooks.append(m.register_forward_hook(
                lambda _m, inputs, _o, name=name: pairs.append((made[id(inputs[0])][0], name)) if id(inputs[0]) in made else None))
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()

    def put(name, module):
        parent, _, last = name.rpartition('.')
        setattr(modules[parent], last, module)
    for conv, norm in pairs:
        put(conv, fuse_conv_bn_eval(modules[conv], modules[norm]))
        put(norm, nn.Identity())
    return net


def golden(net, x, labels, double):
    """Logits, loss and gradients, and the best of two times in milliseconds."""
    if double:
        net, x = copy.deepcopy(net).double(), x.double()
    best = float('inf')
    for _ in range(1 if double else 2):
        x = x.detach().requires_grad_()
        net.zero_grad()
        start = time.perf_counter()
        logits = net(x)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        best = min(best, time.perf_counter() - start)
    numpy = lambda t: t.detach().float().numpy()
    return {'logits': numpy(logits), 'loss': numpy(loss), 'input': numpy(x.grad),
            'grads': {k: numpy(p.grad) for k, p in net.named_parameters() if p.grad is not None}, 'ms': best * 1e3}


def matched(initializers, parameters, grads):
    """Initialiser -> gradient, by name where name and shape agree, else by value: as it is, transposed or in another shape."""
    found, used = {}, set()
    for name, value in initializers.items():
        if name in parameters and parameters[name].shape == value.shape:
            found[name] = grads[name]
            used.add(name)
    left = {}
    for key, value in parameters.items():
        if key not in used:
            left.setdefault(value.size, []).append(key)
    same = lambda a, b: np.abs(a - b).max() <= 1e-5 * np.abs(b).max()
    for name, value in initializers.items():
        if name in found or value.dtype != np.float32 or value.size < 2:
            continue
        for key in left.get(value.size, []):
            other = parameters[key]
            if same(other.ravel(), value.ravel()):
                found[name] = grads[key].reshape(value.shape)
            elif other.ndim == 2 and value.shape == other.shape[::-1] and same(other.T, value):
                found[name] = np.ascontiguousarray(grads[key].T)
            else:
                continue
            used.add(key)
            break
    return found, sorted(set(parameters) - used)


def export(net, x, path, opset, kept):
    torch.onnx.export(net, x, path, opset_version=opset, input_names=['input'], output_names=['logits'],
                      dynamic_axes={'input': {0: 'batch'}, 'logits': {0: 'batch'}}, do_constant_folding=not kept,
                      training=torch.onnx.TrainingMode.PRESERVE if kept else torch.onnx.TrainingMode.EVAL)


def variant(name, opset, norms, net, x, labels, g, parameters, out):
    stem = os.path.join(out, f'{name}-opset{opset}-{norms}')
    try:
        export(net, x, stem + '.onnx', opset, norms == 'kept')
    except Exception as error:  # what an exporter cannot write is a line of the table, not the end of the run
        print(f'{name} opset {opset} {norms}: not exported: {str(error).splitlines()[0][:200]}', flush=True)
        return
    # Nodes of the exporter's that hold a parameter as their attribute are none of the file's initialisers.
    initializers = {i.name: numpy_helper.to_array(i) for i in onnx.load(stem + '.onnx').graph.initializer}
    found, missing = matched(initializers, parameters, g['grads'])
    np.savez(stem + '.npz', input=x.numpy(), labels=labels.numpy(), logits=g['logits'], loss=g['loss'],
             **{'grad/input': g['input']}, **{f'grad/{k}': v for k, v in found.items()})
    others = [k for k, v in initializers.items() if k not in found and v.dtype == np.float32 and v.size > 1 and 'running_' not in k]
    with open(stem + '.json', 'w') as f:
        json.dump({'net': name, 'opset': opset, 'norms': norms, 'size': x.shape[-1], 'batch': x.shape[0], 'torchMs': g['ms'],
                   'parameters': len(parameters), 'mapped': len(found), 'missing': missing, 'others': others}, f)
    print(f'{name} opset {opset} {norms}: {len(found)} of {len(parameters)} parameters, loss {float(g["loss"]):.4f}, {g["ms"]:.0f} ms'
          + (f'; no initialiser for {missing}' if missing else '') + (f'; not a parameter: {others}' if others else ''), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', required=True)
    parser.add_argument('--nets', default=','.join(MUST))
    parser.add_argument('--opsets', default='11,13,17')
    parser.add_argument('--norms', default='folded,kept')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--double', action='store_true', help='gradients in float64, to see which side rounds')
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    os.makedirs(o.out, exist_ok=True)
    names = MUST if o.nets == 'must' else list(OTHERS) if o.nets == 'others' else o.nets.split(',')
    for name in names:
        net = built(name, o.seed)
        batch = 1 if name in ONE_IMAGE else o.batch
        x = settled(net, name, batch, o.seed)
        labels = torch.randint(0, CLASSES.get(name, 100), (batch,))
        has_norms = any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
        whole = None
        for norms in o.norms.split(','):
            if norms == 'folded' and has_norms:
                differentiated = folded(net, x)
                g = golden(differentiated, x, labels, o.double)
            else:
                differentiated = net
                whole = g = whole or golden(net, x, labels, o.double)
            parameters = {k: p.detach().numpy() for k, p in differentiated.named_parameters()}
            for opset in o.opsets.split(','):
                variant(name, int(opset), norms, net, x, labels, g, parameters, o.out)


main()
