#!/usr/bin/python3
"""Fine-pruning (Liu, Dolan-Gavitt, Garg 2018) in PyTorch, beside which `secateur fineprune` is measured.

    /usr/bin/python3 scripts/foreign-finepruning.py --run DIR --out FILE.json [--at block|branch] [--epochs 5] [--lr 0.01] [--seed 1]

DIR is what scripts/foreign-badnet.py wrote. The same defence with the same numbers: the output channels of the last block are ranked
on the clean images, cut from the weakest on until the accuracy on those images is more than 4 points below its start, and the network
is fine-tuned on the same images by SGD, batch norms as in inference, the cut channels kept cut.

Written as somebody would who wants it fast: the network runs once over the images, for the ranking and for the whole curve; then only
what follows the last block is repeated, on its pooled output. Evaluation before and after is not part of the times.

--at block   cut behind the last block's Add and its ReLU, ranked by the mean activation there: the layer that secateur takes by itself
--at branch  cut between the last batch norm and the residual Add, ranked by the mean magnitude there
"""
import argparse
import json
import math
import os
import time

import torch
import torch.nn.functional as F

from foreign_net import accuracy, attack_success, load, normalise, resnet18


@torch.no_grad()
def last_block(net, images, at, batch=250):
    """Strength of each channel [C], and the pooled output of the last block with all channels and with none, [N,C] each."""
    strength, whole, cut = 0, [], []
    block = net.layer4[1]
    for i in range(0, len(images), batch):
        x = F.relu(net.bn1(net.conv1(normalise(images[i:i + batch]))))
        x = net.layer4[0](net.layer3(net.layer2(net.layer1(x))))
        branch = block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))))
        out = F.relu(x + branch)
        strength = strength + (branch.abs() if at == 'branch' else out).mean((2, 3)).sum(0)
        whole.append(out.mean((2, 3)))
        cut.append(F.relu(x).mean((2, 3)) if at == 'branch' else torch.zeros_like(whole[-1]))
    return strength / len(images), torch.cat(whole), torch.cat(cut)


@torch.no_grad()
def curve(net, whole, cut, order, labels):
    """Accuracy with 0, 1, ... all channels cut."""
    features, rates = whole.clone(), []
    for c in [None, *order]:
        if c is not None:
            features[:, c] = cut[:, c]
        rates.append((net.fc(features).argmax(1) == labels).float().mean().item())
    return rates


def masks_for(net, at, chosen):
    """Parameter -> 0/1, so that the chosen channels are cut and stay cut."""
    keep = torch.ones(net.fc.in_features)
    keep[chosen] = 0
    block = net.layer4[1]
    if at == 'branch':
        return [(block.conv2.weight, keep.view(-1, 1, 1, 1)), (block.bn2.weight, keep), (block.bn2.bias, keep)]
    # Between the cut and the classifier there is only the mean over positions: a channel without weights there is cut.
    return [(net.fc.weight, keep.view(1, -1))]


def apply(masks):
    with torch.no_grad():
        for parameter, mask in masks:
            parameter.mul_(mask)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--run', required=True)
    parser.add_argument('--out', required=True)
    parser.add_argument('--at', choices=['branch', 'block'], default='block')
    parser.add_argument('--threshold', type=float, default=0.04)
    parser.add_argument('--epochs', type=int, default=5)
    parser.add_argument('--lr', type=float, default=0.01)
    parser.add_argument('--schedule', choices=['constant', 'cosine'], default='cosine', help='cosine: half a wave, down to 0')
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--images', type=int, help="only so many of the defender's images, for a trial")
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)

    saved = torch.load(os.path.join(o.run, 'badnet.pt'))
    net = resnet18(saved['fc.weight'].shape[0])
    net.load_state_dict(saved)
    net.eval()
    images, labels = load(os.path.join(o.run, 'defender.npz'))
    test_images, test_labels = load(os.path.join(o.run, 'test.npz'))
    if o.images:
        some = torch.linspace(0, len(images) - 1, o.images).long()
        images, labels = images[some], labels[some]

    def judge():
        return {'clean': accuracy(net, test_images, test_labels), 'attack': attack_success(net, test_images, test_labels)}
    before, seconds = judge(), {}

    start = time.perf_counter()
    strength, whole, cut = last_block(net, images, o.at)
    order = torch.argsort(strength, stable=True).tolist()
    rates = curve(net, whole, cut, order, labels)
    held = next((k for k, rate in enumerate(rates) if rates[0] - rate > o.threshold + 1e-6), len(rates)) - 1
    masks = masks_for(net, o.at, order[:held])
    apply(masks)
    seconds['prune'] = time.perf_counter() - start
    pruned = judge()

    start = time.perf_counter()
    optimizer = torch.optim.SGD(net.parameters(), lr=o.lr, momentum=0.9)
    losses, steps, done = [], o.epochs * math.ceil(len(images) / o.batch), 0
    for _ in range(o.epochs):
        shuffled, total = torch.randperm(len(images)), 0.0
        for chosen in shuffled.split(o.batch):
            loss = F.cross_entropy(net(normalise(images[chosen])), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            if o.schedule == 'cosine':
                optimizer.param_groups[0]['lr'] = o.lr * (1 + math.cos(math.pi * done / steps)) / 2
            optimizer.step()
            apply(masks)
            done += 1
            total += loss.item() * len(chosen)
        losses.append(total / len(images))
    seconds['finetune'] = time.perf_counter() - start
    after = judge()

    result = {'seed': o.seed, 'at': o.at, 'epochs': o.epochs, 'lr': o.lr, 'schedule': o.schedule, 'images': len(images), 'cut': held, 'of': len(order),
              'validation': [rates[0], rates[held]], 'before': before, 'pruned': pruned, 'after': after, 'losses': losses,
              'seconds': seconds, 'order': order, 'curve': rates}
    with open(o.out, 'w') as f:
        json.dump(result, f)
    print(json.dumps({k: v for k, v in result.items() if k not in ('order', 'curve')}))


main()
