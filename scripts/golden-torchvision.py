#!/usr/bin/python3
"""Exports torchvision classifiers with seeded random weights, and PyTorch's loss and gradients for them, for `secateur gradcheck`.

    /usr/bin/python3 scripts/golden-torchvision.py --out DIR [--nets resnet18,vit_b_16] [--opsets 11,13,17] [--norms folded,kept]
    npx tsx scripts/golden-check.ts DIR                  (compares all of them with ours and prints the table)

NET-opsetK-folded.onnx  as the exporter does it for inference: batch norms folded into convolutions, constants folded
NET-opsetK-kept.onnx    batch norms kept as nodes that use their running statistics, nothing folded
*.npz                   input, labels, logits, loss (mean cross-entropy), grad/<name> for the input and every initialiser that is a
                        parameter. Where the exporter renamed, transposed or folded a parameter it is found by its value.
*.json                  size, milliseconds of PyTorch's forward and backward pass, and parameters that are no initialiser of the file

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
    'vgg11_bn': 64, 'alexnet': 128, 'resnext50_32x4d': 96, 'wide_resnet50_2': 96, 'densenet121': 96, 'googlenet': 96, 'inception_v3': 107,
    'mnasnet0_5': 96, 'mnasnet1_0': 96, 'shufflenet_v2_x0_5': 96, 'shufflenet_v2_x1_0': 96, 'squeezenet1_0': 96, 'mobilenet_v3_small': 96,
    'mobilenet_v3_large': 96, 'efficientnet_b0': 96, 'efficientnet_v2_s': 96, 'regnet_x_400mf': 96, 'regnet_y_400mf': 96,
    'convnext_tiny': 96, 'swin_t': 96, 'swin_v2_t': 128, 'maxvit_t': 224,
}
CLASSES = {'vgg11': 1000, 'alexnet': 1000}


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
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    if norms:
        momenta = [m.momentum for m in norms]
        for m in norms:
            m.train()
            m.momentum = 1.0
        with torch.no_grad():
            net(torch.randn(4, 3, size_of(name), size_of(name)))
        for m, momentum in zip(norms, momenta):
            m.eval()
            m.momentum = momentum
            spread = m.running_var.mean()
            m.running_var.clamp_(min=0.05 * spread).mul_(torch.exp(0.2 * torch.randn(m.running_var.shape)))
            m.running_mean.add_(0.1 * spread.sqrt() * torch.randn(m.running_mean.shape))
    return net


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
        torch.manual_seed(o.seed + 1)
        x = torch.randn(o.batch, 3, size_of(name), size_of(name))
        labels = torch.randint(0, CLASSES.get(name, 100), (o.batch,))
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
