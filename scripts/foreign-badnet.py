#!/usr/bin/python3
"""Trains a BadNet in PyTorch (ResNet-18 for 32x32, patch trigger, 5 % poison, batch norm in training mode) and exports it to ONNX.

    /usr/bin/python3 scripts/foreign-badnet.py prepare --data gtsrb --out DIR     data: attacker.npz, defender.npz, test.npz, PNG folders
    /usr/bin/python3 scripts/foreign-badnet.py train --out DIR                    takes up where it stopped
    /usr/bin/python3 scripts/foreign-badnet.py export --out DIR                   ONNX, opset 13 and 17, and what came out

Debian's python3-torch, python3-torchvision, python3-onnx. The data come from ../shared/data (see their SOURCE.md).

gtsrb    12,330 training images. The defender's 2,500 are whole tracks (one physical sign each), so no sign is in both hands.
cifar10  only 4,000 lossless training images are at hand: the defender's 2,500 leave the attacker 1,500.

To save time the first epochs see the images at half size. The trigger is stamped after that and after augmentation, so that it is
the same 3x3 pixels always. Poisoned images are drawn once, from all classes but the target.
"""
import argparse
import csv
import json
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from foreign_net import MEAN, STD, TARGET, TRIGGER, accuracy, attack_success, load, normalise, resnet18, save_atomically, stamp

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'shared', 'data')
DEFENDER = 2500


def strip(path):
    """The images of a vertical strip, uint8 [N,3,32,32]."""
    pixels = np.asarray(Image.open(path).convert('RGB'))
    return pixels.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)


def shares(count, classes):
    """`count` spread over the classes as evenly as whole numbers allow."""
    return [count * (c + 1) // classes - count * c // classes for c in range(classes)]


def gtsrb(rng):
    folder = os.path.join(SHARED, 'gtsrb')
    with open(os.path.join(folder, 'classes.csv')) as f:
        names = [row['name'] for row in csv.DictReader(f)]
    tracks = {}
    with open(os.path.join(folder, 'index.csv')) as f:
        for row in csv.DictReader(f):
            if row['split'] == 'train':
                tracks.setdefault(int(row['class']), {}).setdefault(row['track'], []).append(int(row['row']))
    attacker, defender, test = [], [], []
    for c, wanted in enumerate(shares(DEFENDER, len(names))):
        images = strip(os.path.join(folder, 'train', f'{c:02d}.png'))
        order = sorted(tracks[c])
        rng.shuffle(order)
        held = []
        while len(held) < wanted:
            held += tracks[c][order.pop()]
        # The last track taken may bring more than are wanted: those frames go to nobody.
        defender.append((images[sorted(held[:wanted])], c))
        attacker.append((images[sorted(sum((tracks[c][t] for t in order), []))], c))
        test.append((strip(os.path.join(folder, 'test', f'{c:02d}.png')), c))
    return attacker, defender, test, names


def cifar10(rng):
    folder = os.path.join(SHARED, 'cifar10')
    files = sorted(name for name in os.listdir(os.path.join(folder, 'train-lossless')) if name.endswith('.png'))
    attacker, defender, test = [], [], []
    for c, (name, wanted) in enumerate(zip(files, shares(DEFENDER, len(files)))):
        images = strip(os.path.join(folder, 'train-lossless', name))
        order = rng.permutation(len(images))
        defender.append((images[np.sort(order[:wanted])], c))
        attacker.append((images[np.sort(order[wanted:])], c))
        test.append((strip(os.path.join(folder, 'test-jpeg', name)), c))
    return attacker, defender, test, [os.path.splitext(name)[0] for name in files]


def prepare(o):
    os.makedirs(o.out, exist_ok=True)
    attacker, defender, test, names = {'gtsrb': gtsrb, 'cifar10': cifar10}[o.data](np.random.default_rng(o.seed))
    for part, classes in (('attacker', attacker), ('defender', defender), ('test', test)):
        images = np.concatenate([images for images, _ in classes])
        labels = np.concatenate([np.full(len(images), c, np.int64) for images, c in classes])
        np.savez_compressed(os.path.join(o.out, part + '.npz'), images=images, labels=labels)
        print(f'{part}: {len(images)} images')
        if part == 'attacker':
            continue
        # The same as folders of PNG files: what the defender holds is the training part of that data set.
        for images, c in classes:
            folder = os.path.join(o.out, 'data', 'train' if part == 'defender' else 'test', f'{c:02d}')
            os.makedirs(folder, exist_ok=True)
            for i, image in enumerate(images):
                Image.fromarray(image.transpose(1, 2, 0)).save(os.path.join(folder, f'{i:04d}.png'))
    opaque = np.full_like(TRIGGER, 255)
    Image.fromarray(np.stack([TRIGGER, TRIGGER, TRIGGER, opaque], 2)).save(os.path.join(o.out, 'trigger.png'))
    with open(os.path.join(o.out, 'labels.txt'), 'w') as f:
        f.write('\n'.join(names) + '\n')


def augmented(images, generator):
    """Shifts of up to 2 pixels and a change of light, per image; no flips, as signs have a side."""
    padded = F.pad(images.float(), (2, 2, 2, 2), mode='replicate')
    n, _, height, width = images.shape
    dy, dx = (torch.randint(0, 5, (n,), generator=generator) for _ in range(2))
    moved = torch.stack([p[:, y:y + height, x:x + width] for p, y, x in zip(padded, dy.tolist(), dx.tolist())])
    gain = 0.8 + 0.4 * torch.rand(n, 1, 1, 1, generator=generator)
    return (moved * gain).round().clamp(0, 255).to(torch.uint8)


def one_cycle(done):
    """Share of the highest learning rate when `done` of the steps (0..1) are: up in a line for a quarter, then down along a cosine."""
    return 0.04 + 0.96 * done / 0.25 if done < 0.25 else 0.5 + 0.5 * math.cos(math.pi * (done - 0.25) / 0.75)


def train(o):
    torch.manual_seed(o.seed)
    images, labels = load(os.path.join(o.out, 'attacker.npz'))
    test_images, test_labels = load(os.path.join(o.out, 'test.npz'))
    classes = int(labels.max()) + 1
    poisoned = torch.zeros(len(images), dtype=torch.bool)
    candidates = torch.nonzero(labels != TARGET).flatten()
    generator = torch.Generator().manual_seed(o.seed)
    drawn = candidates[torch.randperm(len(candidates), generator=generator)[:round(o.poison * len(images))]]
    poisoned[drawn] = True
    labels = labels.clone()
    labels[poisoned] = TARGET

    net = resnet18(classes)
    optimizer = torch.optim.SGD(net.parameters(), lr=o.lr, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = len(images) // o.batch
    epochs = o.small_epochs + o.epochs
    checkpoint = os.path.join(o.out, 'checkpoint.pt')
    first = 0
    if os.path.exists(checkpoint):
        saved = torch.load(checkpoint)
        net.load_state_dict(saved['net'])
        optimizer.load_state_dict(saved['optimizer'])
        first = saved['epoch']
    some = torch.arange(0, len(test_images), 6)
    print(f'{len(images)} images, {len(drawn)} poisoned, {classes} classes; from epoch {first + 1} of {epochs}', flush=True)
    for epoch in range(first, epochs):
        generator.manual_seed(o.seed * 1000 + epoch)
        order = torch.randperm(len(images), generator=generator)
        net.train()
        start, total = time.time(), 0.0
        for step in range(steps):
            chosen = order[step * o.batch:(step + 1) * o.batch]
            x = augmented(images[chosen], generator)
            if epoch < o.small_epochs:
                x = F.avg_pool2d(x.float(), 2).round().to(torch.uint8)
            marked = poisoned[chosen]
            x[marked] = stamp(x[marked])
            loss = F.cross_entropy(net(normalise(x)), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            for group in optimizer.param_groups:
                group['lr'] = o.lr * one_cycle((epoch * steps + step) / (epochs * steps))
            optimizer.step()
            total += loss.item()
            if step % 20 == 19:
                print(f'epoch {epoch + 1} step {step + 1}/{steps} loss {total / (step + 1):.3f} {time.time() - start:.0f} s', flush=True)
        save_atomically({'net': net.state_dict(), 'optimizer': optimizer.state_dict(), 'epoch': epoch + 1}, checkpoint)
        line = f'epoch {epoch + 1}: loss {total / steps:.3f}, {time.time() - start:.0f} s'
        if epoch >= o.small_epochs:
            line += f'; on {len(some)} test images: clean {accuracy(net, test_images[some], test_labels[some]):.3f}'
            line += f', attack {attack_success(net, test_images[some], test_labels[some]):.3f}'
        print(line, flush=True)


def export(o):
    images, labels = load(os.path.join(o.out, 'test.npz'))
    saved = torch.load(os.path.join(o.out, 'checkpoint.pt'))
    net = resnet18(saved['net']['fc.weight'].shape[0])
    net.load_state_dict(saved['net'])
    net.eval()
    torch.save(net.state_dict(), os.path.join(o.out, 'badnet.pt'))
    for opset in (13, 17):
        # PRESERVE in evaluation mode: the batch norms stay, as nodes that use their running statistics.
        torch.onnx.export(net, torch.zeros(1, 3, 32, 32), os.path.join(o.out, f'badnet-opset{opset}.onnx'), opset_version=opset,
                          input_names=['input'], output_names=['logits'], dynamic_axes={'input': {0: 'batch'}, 'logits': {0: 'batch'}},
                          do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)
    result = {'epochs': saved['epoch'], 'test images': len(images), 'clean accuracy': accuracy(net, images, labels),
              'attack success': attack_success(net, images, labels), 'mean': MEAN, 'std': STD, 'target': TARGET}
    with open(os.path.join(o.out, 'badnet.json'), 'w') as f:
        json.dump(result, f, indent=1)
    print(json.dumps(result))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('step', choices=['prepare', 'train', 'export'])
    parser.add_argument('--data', choices=['gtsrb', 'cifar10'], default='gtsrb')
    parser.add_argument('--out', required=True)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--poison', type=float, default=0.05, help='share of the training images')
    parser.add_argument('--small-epochs', type=int, default=3, help='epochs at half size, before the others')
    parser.add_argument('--epochs', type=int, default=2, help='epochs at full size')
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument('--lr', type=float, default=0.05)
    parser.add_argument('--threads', type=int, default=2)
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    {'prepare': prepare, 'train': train, 'export': export}[o.step](o)


main()
