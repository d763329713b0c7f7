"""Solvers, splines, graphs, complex numbers and gradients inside."""

import torch
import torch.nn.functional as F
from torch import nn

from parts import Base, Zoo

correct = Zoo()


@correct
class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(784, 32, dtype=torch.cfloat)
        self.b = nn.Linear(32, 10, dtype=torch.cfloat)
        self.mb = nn.Parameter(torch.full((32,), -0.1))

    def forward(self, x):
        z = self.a(torch.fft.fft2(x, norm="ortho").flatten(1))
        z = F.relu(z.abs() + self.mb) * torch.exp(1j * z.angle())
        return self.b(z).abs()


@correct
class KAN(nn.Module):
    def __init__(self, g=5):
        super().__init__()
        self.pre = nn.Linear(784, 12)
        self.register_buffer("knots", torch.linspace(-2, 2, g))
        self.co = nn.Parameter(torch.randn(10, 12, g) * 0.1)
        self.base = nn.Linear(12, 10)

    def forward(self, x):
        z = torch.tanh(self.pre(x.flatten(1)))
        B = F.relu(1 - (z[..., None] - self.knots).abs())
        return self.base(F.silu(z)) + torch.einsum("nig,oig->no", B, self.co)


@correct
class NODE(Base):
    def make(self):
        self.g = nn.Sequential(nn.Linear(17, 32), nn.Tanh(), nn.Linear(32, 16))

    def mid(self, z):
        f = lambda t, y: self.g(torch.cat([y, y.new_full((len(y), 1), t)], 1))
        h = 0.25
        for i in range(4):
            k1 = f(i * h, z)
            k2 = f(i * h + h / 2, z + h / 2 * k1)
            k3 = f(i * h + h / 2, z + h / 2 * k2)
            k4 = f(i * h + h, z + h * k3)
            z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return z


def rk23(f, y, tol):
    t, h = 0.0, 0.3
    while t < 1 - 1e-9:
        h = min(h, 1 - t)
        k1 = f(y)
        k2 = f(y + h / 2 * k1)
        k3 = f(y + 0.75 * h * k2)
        n = y + h / 9 * (2 * k1 + 3 * k2 + 4 * k3)
        k4 = f(n)
        e = h * (-5 / 72 * k1 + k2 / 12 + k3 / 9 - k4 / 8)
        r = float((e / (tol + tol * torch.max(y.abs(), n.abs()))).detach().square().mean().sqrt())
        if r <= 1:
            t += h
            y = n
        h *= min(3, max(0.3, 0.9 * r ** (-1 / 3) if r > 0 else 3))
    return y


@correct
class AdaptiveODE(Base):
    """steps by the whole batch's error, tol 1e-3, as the ODE-Net MNIST example"""

    def make(self):
        self.g = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 16))

    def mid(self, z):
        return rk23(lambda y: 4 * self.g(y), z, 1e-3)


@correct
class AdaptiveODE_tol1e2(AdaptiveODE):
    def mid(self, z):
        return rk23(lambda y: 4 * self.g(y), z, 1e-2)


def anderson(f, x0, m=5, lam=1e-4, max_iter=50, tol=1e-2, beta=1.0):
    """of the NeurIPS 2020 tutorial of Kolter, Duvenaud and Johnson"""
    bsz, d = x0.shape
    X = torch.zeros(bsz, m, d)
    Fx = torch.zeros(bsz, m, d)
    X[:, 0], Fx[:, 0] = x0, f(x0)
    X[:, 1], Fx[:, 1] = Fx[:, 0], f(Fx[:, 0])
    H = torch.zeros(bsz, m + 1, m + 1)
    H[:, 0, 1:] = H[:, 1:, 0] = 1
    y = torch.zeros(bsz, m + 1, 1)
    y[:, 0] = 1
    for k in range(2, max_iter):
        n = min(k, m)
        G = Fx[:, :n] - X[:, :n]
        H[:, 1 : n + 1, 1 : n + 1] = torch.bmm(G, G.transpose(1, 2)) + lam * torch.eye(n)[None]
        a = torch.linalg.solve(H[:, : n + 1, : n + 1], y[:, : n + 1])[:, 1 : n + 1, 0]
        X[:, k % m] = beta * (a[:, None] @ Fx[:, :n])[:, 0] + (1 - beta) * (a[:, None] @ X[:, :n])[:, 0]
        Fx[:, k % m] = f(X[:, k % m])
        if (Fx[:, k % m] - X[:, k % m]).norm() / (1e-5 + Fx[:, k % m].norm()) < tol:
            break
    return X[:, k % m]


@correct
class DEQTutorial(Base):
    d = 32

    def make(self):
        self.W = nn.Linear(32, 32)
        self.U = nn.Linear(32, 32)

    def mid(self, x):
        f = lambda z: torch.tanh(self.W(z) * 1.5 + self.U(x))
        with torch.no_grad():
            z = anderson(f, torch.zeros_like(x))
        return f(z)


@correct
class DEQPicard(DEQTutorial):
    """plain iteration until the batch's residual is below 1e-2"""

    def mid(self, x):
        f = lambda z: torch.tanh(self.W(z) * 1.5 + self.U(x))
        with torch.no_grad():
            z = torch.zeros_like(x)
            for _ in range(50):
                n = f(z)
                r = (n - z).norm() / (1e-5 + n.norm())
                z = n
                if r < 1e-2:
                    break
        return f(z)


@correct
class GridGNN(nn.Module):
    """sparse COO adjacency as a buffer"""

    def __init__(self, csr=False):
        super().__init__()
        i = torch.arange(49).view(7, 7)
        e = torch.cat(
            [torch.stack([i[:-1].flatten(), i[1:].flatten()]), torch.stack([i[:, :-1].flatten(), i[:, 1:].flatten()])],
            1,
        )
        e = torch.cat([e, e.flip(0), torch.arange(49).repeat(2, 1)], 1)
        A = torch.sparse_coo_tensor(e, torch.full((e.shape[1],), 0.2), (49, 49)).coalesce()
        self.register_buffer("A", A.to_sparse_csr() if csr else A)
        self.w1 = nn.Linear(16, 16)
        self.w2 = nn.Linear(16, 16)
        self.h = nn.Linear(16, 10)

    def prop(self, x):
        n, v, d = x.shape
        return torch.sparse.mm(self.A, x.permute(1, 0, 2).reshape(v, n * d)).view(v, n, d).permute(1, 0, 2)

    def forward(self, x):
        x = F.pixel_unshuffle(x, 4).flatten(2).transpose(1, 2)
        x = F.relu(self.w1(self.prop(x)))
        return self.h(F.relu(self.w2(self.prop(x))).mean(1))


@correct
class GridGNN_CSR(GridGNN):
    def __init__(self):
        super().__init__(True)


@correct
class ConjBuffer(Base):
    def make(self):
        self.register_buffer("ph", torch.exp(1j * torch.linspace(0, 3, 9)).conj())

    def mid(self, z):
        return torch.fft.irfft(torch.fft.rfft(z) * self.ph, n=16)


@correct
class NonPersistentConj(Base):
    def make(self):
        self.register_buffer("A", torch.randn(16, 16, generator=torch.Generator().manual_seed(0)).mT, persistent=False)

    def mid(self, z):
        return z @ self.A / 4


@correct
class SparseEmb(nn.Module):
    """pixels quantised to 16 grey values, a sparse embedding"""

    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(16, 4, sparse=True)
        self.h = nn.Linear(784 * 4, 10)

    def forward(self, x):
        return self.h(self.e(((x + 1) * 5).long().clamp(0, 15).flatten(1)).flatten(1))


@correct
class EnergyForces(nn.Module):
    """logits from the gradient of an energy by the latent, also in eval"""

    def __init__(self):
        super().__init__()
        self.f = nn.Linear(784, 16)
        self.e = nn.Sequential(nn.Linear(16, 32), nn.Softplus(), nn.Linear(32, 1))
        self.h = nn.Linear(16, 10)

    def forward(self, x):
        with torch.enable_grad():
            z = self.f(x.flatten(1))
            z = z if z.requires_grad else z.requires_grad_()
            (g,) = torch.autograd.grad(self.e(z).sum(), z, create_graph=True)
        return self.h(z - g)


@correct
class FuncGrad(Base):
    def make(self):
        self.e = nn.Linear(16, 16)

    def mid(self, z):
        return torch.func.vmap(torch.func.grad(lambda v: F.softplus(self.e(v)).sum()))(z)


@correct
class Reservoir(nn.Module):
    """echo state net, radius 1.2, fixed"""

    def __init__(self):
        super().__init__()
        g = torch.Generator().manual_seed(1)
        W = torch.randn(100, 100, generator=g)
        self.register_buffer("W", 1.2 * W / torch.linalg.eigvals(W).abs().max())
        self.register_buffer("U", torch.randn(28, 100, generator=g))
        self.h = nn.Linear(100, 10)

    def forward(self, x):
        z = x.new_zeros(len(x), 100)
        for r in x[:, 0].unbind(1):
            z = torch.tanh(z @ self.W + r @ self.U)
        return self.h(z)


ARCHITECTURES = correct.nets
