"""What the tests of methods share: heads in NumPy, slopes by differences, and images that teach."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn


class Trunk(nn.Module):
    """Images of any size: the colors of their quarters, mixed. Without batch norm, which processes would not share."""

    dim = 7

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, self.dim), nn.Tanh())

    def forward(self, images):
        return self.network(images)


class Flat(nn.Module):
    """Vectors, or images that are flattened, of 32 numbers."""

    dim = 12

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(32, 24), nn.Tanh(), nn.Linear(24, self.dim))

    def forward(self, images):
        return self.network(images)


def moved(made, scale=0.3):
    """The method with every parameter moved at random, so that no weight is 1, no bias 0 and no copy equal."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return made


def batches(count=8, sizes=(6, 6)):
    """Views of some similarity, (count, 3, size, size) float64."""
    generator = torch.Generator().manual_seed(2)
    kinds = torch.rand(count, 3, 1, 1, generator=generator, dtype=torch.float64)
    return [(kinds + torch.rand(count, 3, s, s, generator=generator, dtype=torch.float64)) / 2 for s in sizes]


def head(x, layers):
    """(B, D) NumPy -> (B, D'): linear layers, batch norm by the batch's statistics, ReLU."""
    for layer in layers:
        own = {name: p.detach().numpy() for name, p in layer.named_parameters()}
        if isinstance(layer, nn.Linear):
            x = x @ own["weight"].T + own.get("bias", 0)
        elif isinstance(layer, nn.BatchNorm1d):
            x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) * own.get("weight", 1) + own.get("bias", 0)
        else:
            assert isinstance(layer, nn.ReLU)
            x = np.maximum(x, 0)
    return x


def unit(x):
    return x / np.sqrt((x**2).sum(1, keepdims=True))


def embed(trunk, view):
    return trunk(view).detach().numpy()


def slopes(made, reference: Callable[[], float]) -> tuple[float, float]:
    """Along one random direction of all trained parameters: by their gradients, and of the reference by differences."""
    generator = torch.Generator().manual_seed(3)
    trained = [p for p in made.parameters() if p.requires_grad]
    directions = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in trained]
    found = sum((p.grad * d).sum().item() for p, d in zip(trained, directions))
    losses = []
    with torch.no_grad():
        for step in (-1e-6, 2e-6):
            for p, d in zip(trained, directions):
                p.add_(d, alpha=step)
            losses.append(reference())
        for p, d in zip(trained, directions):
            p.sub_(d, alpha=1e-6)
    return found, (losses[1] - losses[0]) / 2e-6


def derivatives(function, *arrays, step=1e-6):
    """The gradient of a number with respect to float64 arrays, by central differences."""
    found = []
    for array in arrays:
        gradient = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            kept, values = array[place], []
            for change in (-step, step):
                array[place] = kept + change
                values.append(function(*arrays))
            array[place] = kept
            gradient[place] = (values[1] - values[0]) / (2 * step)
        found.append(gradient)
    return found


def kinds_of_images(count, views=2):
    """Views of each image: its kind's colors, of 6, under noise as loud as they are; and the kinds."""
    colors = torch.randn(6, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    kinds = torch.randint(6, (count,))
    return [colors[kinds].repeat_interleave(2, 2) + torch.randn(count, 3, 4, 2) for _ in range(views)], kinds


def told(made):
    """How much of the variance of the projections, as unit vectors, lies between kinds of images, 0 to 1."""
    (images,), kinds = kinds_of_images(600, 1)
    with torch.no_grad():
        z = nn.functional.normalize(made.project(images), dim=1)
    means = torch.stack([z[kinds == kind].mean(0) for kind in kinds])
    return ((means - z.mean(0)).square().sum() / (z - z.mean(0)).square().sum()).item()


def train(make, lr=0.01, updates=200, views=2):
    """A short training of what `make` makes: the log, one dict an update, and `told` before and after."""
    torch.manual_seed(0)
    made = make()
    before, rows = told(made.eval()), []
    made.train()
    optimizer = torch.optim.AdamW([p for p in made.parameters() if p.requires_grad], lr=lr)
    for update in range(updates):
        optimizer.zero_grad()
        out = made(kinds_of_images(64, views)[0], update / updates)
        out["loss"].backward()
        if hasattr(made, "after_backward"):
            made.after_backward(update / updates)
        optimizer.step()
        if hasattr(made, "after_step"):
            made.after_step(update / updates)
        rows.append({name: value.item() for name, value in out.items()})
    return rows, before, told(made.eval())
