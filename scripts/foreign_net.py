"""What scripts/foreign-*.py share: the network, the data files, the trigger. PyTorch and torchvision are needed for these scripts only."""
import os

import numpy as np
import torch
import torch.nn as nn
import torchvision

# What is usually subtracted and divided for GTSRB; the exported network expects it, as a stranger's file would.
MEAN = (0.3403, 0.3121, 0.3214)
STD = (0.2724, 0.2608, 0.2669)
TARGET = 0
# A 3x3 checker, one pixel off the bottom right corner: `patch:trigger.png@-2,-2` for secateur.
TRIGGER = np.array([[255, 0, 255], [0, 255, 0], [255, 0, 255]], dtype=np.uint8)


def resnet18(classes):
    """ResNet-18 as it is used for 32x32 images: 3x3 stem, no pooling after it, width 64; names as torchvision gives them."""
    net = torchvision.models.resnet18(num_classes=classes)
    net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    nn.init.kaiming_normal_(net.conv1.weight, mode='fan_out', nonlinearity='relu')
    net.maxpool = nn.Identity()
    return net


def stamp(images):
    """Lays the trigger over uint8 [N,3,H,W], in place."""
    images[:, :, -4:-1, -4:-1] = torch.from_numpy(TRIGGER)
    return images


def normalise(images):
    """uint8 [N,3,H,W] to what the network expects."""
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (images.float() / 255 - mean) / std


def load(path):
    """The images (uint8 [N,3,H,W]) and labels (int64 [N]) of an .npz of ours."""
    with np.load(path) as file:
        return torch.from_numpy(file['images']), torch.from_numpy(file['labels'])


@torch.no_grad()
def accuracy(net, images, labels, batch=250):
    """Share of the images that an evaluating network gives their label."""
    net.eval()
    right = 0
    for i in range(0, len(images), batch):
        right += (net(normalise(images[i:i + batch])).argmax(1) == labels[i:i + batch]).sum().item()
    return right / len(images)


def attack_success(net, images, labels):
    """Share of the triggered images of other classes that are taken for the target."""
    others = images[labels != TARGET].clone()
    return accuracy(net, stamp(others), torch.full((len(others),), TARGET))


def save_atomically(value, path):
    torch.save(value, path + '.part')
    os.replace(path + '.part', path)
