// What follows a convolution: max pool, batch norm (as an affine map of each channel) and ReLU, and the way back.
//
// Nets norm and rectify before they pool, but max(relu(a * x + b)) is relu(a * max(x) + b), with the least x where a is
// negative. So the pool comes first here, while what the convolution gave is still in the cache, and batch norm and ReLU
// see a value a window. On the way back the value that was taken is found again by comparison; of equal ones the first
// has the gradient, as in torch.
#pragma once
#include "convolution.h"
#include "norm.h"

INLINE bool pools_pairs(const Stage& s) {
  return s.pool_h == 2 && s.pool_w == 2 && s.pool_stride_h == 2 && s.pool_stride_w == 2 && !s.pool_padding_h &&
         !s.pool_padding_w;
}

// The part of a window that lies inside of a plane.
struct Window {
  int top, bottom, left, right;
  Window(const Stage& s, int i, int j) {
    const Frame& raw = s.raw.frame;
    top = i * s.pool_stride_h - s.pool_padding_h, left = j * s.pool_stride_w - s.pool_padding_w;
    bottom = top + s.pool_h < raw.height ? top + s.pool_h : raw.height;
    right = left + s.pool_w < raw.width ? left + s.pool_w : raw.width;
    top = top < 0 ? 0 : top, left = left < 0 ? 0 : left;
  }
};

// What a batch norm behind the pool lets through of a window: its largest value, its least, or with a factor of 0, which
// makes all of them equal, the first.
enum Taken { LARGEST, LEAST, FIRST };

INLINE Taken taken_of(const Stage& s, int channel) {
  if (s.norm == NO_NORM || !s.gamma || s.gamma[channel] > 0) return LARGEST;
  return s.gamma[channel] < 0 ? LEAST : FIRST;
}

template <Taken TAKEN>
INLINE V either(V a, V b) {
  return TAKEN == LARGEST ? larger(a, b) : TAKEN == LEAST ? -larger(-a, -b) : a;
}

template <Taken TAKEN>
static void pool_plane(const Stage& s, const V* raw, V* to, int to_row, bool relu) {
  const Frame from = s.raw.frame, f = s.out.frame;  // copies: what is stored might else have changed them
  if (pools_pairs(s)) {
    for (int i = 0; i < f.height; i++)
      for (int j = 0; j < f.width; j++) {
        const V* q = raw + 2 * i * from.row() + 2 * j;
        const V a = q[0], b = q[1], c = q[from.row()], d = q[from.row() + 1];
        const V most = poisoned(has_nan(a, b) | has_nan(c, d), either<TAKEN>(either<TAKEN>(a, b), either<TAKEN>(c, d)));
        to[i * to_row + j] = relu ? rectified(most) : most;
      }
    return;
  }
  for (int i = 0; i < f.height; i++)
    for (int j = 0; j < f.width; j++) {
      const Window w(s, i, j);
      V most = raw[w.top * from.row() + w.left];
      Mask bad = {};
      for (int y = w.top; y < w.bottom; y++)
        for (int x = w.left; x < w.right; x++) {
          const V value = raw[y * from.row() + x];
          bad |= has_nan(value, value);
          most = either<TAKEN>(most, value);
        }
      most = poisoned(bad, most);
      to[i * to_row + j] = relu ? rectified(most) : most;
    }
}

// From `raw` to `pooled`, a group of a block; where no batch norm follows, that is all there is to do.
static void pool_group(const Stage& s, float* memory, int64_t number, const Group& group) {
  const Frame from = s.raw.frame, to = s.pooled.frame;
  const V* raw = raw_planes(s, memory, number, group) + from.inside();
  V* pooled = s.pooled.block(memory, number) + to.inside() + group.first * to.plane();
  for (int c = 0; c < group.size; c++, raw += from.plane(), pooled += to.plane()) {
    const Taken taken = taken_of(s, group.first + c);
    auto* pool = taken == LARGEST ? pool_plane<LARGEST> : taken == LEAST ? pool_plane<LEAST> : pool_plane<FIRST>;
    pool(s, raw, pooled, to.row(), s.relu && s.norm == NO_NORM);
  }
}

// Batch norm and ReLU, from `pooled` to `out`, for a block.
static void finish_block(const Stage& s, float* memory, int64_t number) {
  const Frame from = s.pooled.frame, to = s.out.frame;
  const V* pooled = s.pooled.block(memory, number) + from.inside();
  V* out = s.out.block(memory, number);
  clear_border(to, out);
  out += to.inside();
  for (int c = 0; c < to.channels; c++, pooled += from.plane(), out += to.plane()) {
    const Affine affine = s.norm == NO_NORM ? Affine{1, 0} : Affine(s, c);
    const bool relu = s.relu, normalises = s.norm != NO_NORM;
    for (int i = 0; i < to.height; i++)
      for (int j = 0; j < to.width; j++) {
        V value = pooled[i * from.row() + j];
        if (normalises) value = value * affine.scale + affine.shift;
        out[i * to.row() + j] = relu ? rectified(value) : value;
      }
  }
}

// What batch norm must know of all gradients before it can pass any back.
static void sum_gradients(const Stage& s, float* memory, int64_t number, const V* gradient, GradientSums* found) {
  const Frame from = s.pooled.frame, to = s.out.frame;
  const V* pooled = s.pooled.block(memory, number);
  const V* out = s.out.block(memory, number) + to.inside();
  for (int c = 0; c < to.channels; c++, pooled += from.plane(), out += to.plane(), gradient += to.height * to.width) {
    const V mean = splat(s.mean[c]);
    const bool relu = s.relu;
    GradientSums even = {}, odd = {};  // two sums at once hide how long each addition takes
    auto add = [&](int i, int j, GradientSums& sums) {
      V g = gradient[i * to.width + j];
      if (relu) g = masked(is_positive(out[i * to.row() + j]), g);
      sums.plain += g, sums.products += g * (pooled[i * from.row() + j] - mean);
    };
    for (int i = 0; i < to.height; i++) {
      int j = 0;
      for (; j + 2 <= to.width; j += 2) add(i, j, even), add(i, j + 1, odd);
      if (j < to.width) add(i, j, even);
    }
    found[c] = {even.plain + odd.plain, even.products + odd.products};
  }
}

// Calls set(row, column, whether the pool took the value, gradient of the window) for every value of a plane that pairs
// are pooled of.
template <class Set>
INLINE void each_of_pairs(const Stage& s, const V* raw, const V* pooled, const V* out, const V* gradient, Set set) {
  const Frame from = s.raw.frame, to = s.out.frame;
  const int pooled_row = s.pooled.frame.row();
  const bool relu = s.relu;
  for (int i = 0; i < to.height; i++)
    for (int j = 0; j < to.width; j++) {
      const V* q = raw + 2 * i * from.row() + 2 * j;
      const V most = pooled[i * pooled_row + j];
      V g = gradient[i * to.width + j];
      if (relu) g = masked(is_positive(out[i * to.row() + j]), g);
      const Mask first = equal(q[0], most), second = equal(q[1], most), third = equal(q[from.row()], most);
      const Mask two = first | second;
      set(2 * i, 2 * j, masked(first, g)), set(2 * i, 2 * j + 1, masked(second & ~first, g));
      set(2 * i + 1, 2 * j, masked(third & ~two, g)), set(2 * i + 1, 2 * j + 1, masked(~(two | third), g));
    }
  for (int i = 0; i < from.height; i++)  // what no window covers
    for (int j = i < 2 * to.height ? 2 * to.width : 0; j < from.width; j++) set(i, j, V{});
}

// The same for windows of any kind, by way of `plane`.
template <class Set>
INLINE void each_of_windows(const Stage& s, const V* raw, const V* pooled, const V* out, const V* gradient, V* plane, Set set) {
  const Frame from = s.raw.frame, to = s.out.frame;
  clear(plane, (size_t)from.height * from.width);
  for (int i = 0; i < to.height; i++)
    for (int j = 0; j < to.width; j++) {
      const Window w(s, i, j);
      const V most = pooled[i * s.pooled.frame.row() + j];
      V g = gradient[i * to.width + j];
      if (s.relu) g = masked(is_positive(out[i * to.row() + j]), g);
      Mask found = {};
      for (int y = w.top; y < w.bottom; y++)
        for (int x = w.left; x < w.right; x++) {
          const Mask here = equal(raw[y * from.row() + x], most) & ~found;
          plane[y * from.width + x] += masked(here, g);
          found |= here;
        }
    }
  for (int i = 0; i < from.height; i++)
    for (int j = 0; j < from.width; j++) set(i, j, plane[i * from.width + j]);
}

template <class Set>
INLINE void each_gradient(const Stage& s, const V* raw, const V* pooled, const V* out, const V* gradient, V* plane, Set set) {
  if (s.pools && pools_pairs(s)) return each_of_pairs(s, raw, pooled, out, gradient, set);
  if (s.pools) return each_of_windows(s, raw, pooled, out, gradient, plane, set);
  const Frame to = s.out.frame;
  const bool relu = s.relu;
  for (int i = 0; i < to.height; i++)
    for (int j = 0; j < to.width; j++) {
      const V g = gradient[i * to.width + j];
      set(i, j, relu ? masked(is_positive(out[i * to.row() + j]), g) : g);
    }
}

// Gradients of a group of `raw` into planes of `frame`; `factors` where batch norm stands between, for the lanes that
// are in use. `gradient` is of all channels that the stage gave.
static void pass_gradients(const Stage& s, float* memory, int64_t number, const V* gradient, V* plane,
                           const GradientFactors* factors, Mask used, const Group& group, const Frame& frame, V* target) {
  const Frame from = s.raw.frame, pool = s.pooled.frame, to = s.out.frame;
  const V* raw = raw_planes(s, memory, number, group) + from.inside();
  const V* pooled = s.pooled.block(memory, number) + pool.inside() + group.first * pool.plane();
  const V* out = s.out.block(memory, number) + to.inside() + group.first * to.plane();
  const int row = frame.row(), raw_row = from.row();
  gradient += (size_t)group.first * to.height * to.width;
  target += frame.inside();
  for (int c = group.first; c < group.first + group.size; c++) {
    if (!factors) {
      each_gradient(s, raw, pooled, out, gradient, plane, [=](int i, int j, V g) { target[i * row + j] = g; });
    } else {
      const V at = masked(used, factors[c].at), by = masked(used, factors[c].by), plus = masked(used, factors[c].plus);
      each_gradient(s, raw, pooled, out, gradient, plane, [=](int i, int j, V g) {
        target[i * row + j] = g * at + (raw[i * raw_row + j] * by + plus);
      });
    }
    raw += from.plane(), pooled += pool.plane(), out += to.plane(), target += frame.plane();
    gradient += to.height * to.width;
  }
}
