// What follows a convolution: batch norm (as an affine map of each channel), ReLU and max pool in one pass, and back.
//
// max(relu(x)) is relu(max(x)), so that a ReLU before a pool costs a comparison a window. On the way back the largest
// value of a window is found again by comparison; of equal ones the first has the gradient, as in torch.
#pragma once
#include "norm.h"

INLINE bool pools_pairs(const Stage& s) {
  return s.pool_h == 2 && s.pool_w == 2 && s.pool_stride_h == 2 && s.pool_stride_w == 2 && !s.pool_padding_h &&
         !s.pool_padding_w;
}

INLINE V finished(const Stage& s, V x) { return s.relu ? rectified(x) : x; }

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

static void finish_plane(const Stage& s, const V* raw, V* out, const Affine& affine) {
  const Frame &from = s.raw.frame, &to = s.out.frame;
  if (!s.pools) {
    for (int i = 0; i < to.height; i++)
      for (int j = 0; j < to.width; j++) out[i * to.row() + j] = finished(s, affine.of(raw[i * from.row() + j]));
    return;
  }
  if (pools_pairs(s)) {
    for (int i = 0; i < to.height; i++)
      for (int j = 0; j < to.width; j++) {
        const V* q = raw + 2 * i * from.row() + 2 * j;
        V a = affine.of(q[0]), b = affine.of(q[1]), c = affine.of(q[from.row()]), d = affine.of(q[from.row() + 1]);
        V most = (V)((M)larger(larger(a, b), larger(c, d)) | poison(a, b) | poison(c, d));
        out[i * to.row() + j] = finished(s, most);
      }
    return;
  }
  for (int i = 0; i < to.height; i++)
    for (int j = 0; j < to.width; j++) {
      Window w(s, i, j);
      V most = splat(-INFINITY);
      M bad = {};
      for (int y = w.top; y < w.bottom; y++)
        for (int x = w.left; x < w.right; x++) {
          V value = affine.of(raw[y * from.row() + x]);
          bad |= poison(value, value);
          most = larger(most, value);
        }
      out[i * to.row() + j] = finished(s, (V)((M)most | bad));
    }
}

// From `raw` to `out`, for a block.
static void finish_block(const Stage& s, float* memory, int64_t number) {
  const Frame &from = s.raw.frame, &to = s.out.frame;
  const V* raw = s.raw.block(memory, number) + from.inside();
  V* out = s.out.block(memory, number);
  clear_border(to, out);
  for (int c = 0; c < to.channels; c++)
    finish_plane(s, raw + c * from.plane(), out + to.inside() + c * to.plane(), Affine(s, c));
}

// Calls use(place in raw's plane, row, column, gradient) for every value of a channel: the gradient of what batch norm
// gave. `out` and `gradient` are what the stage gave and the gradient of that, `plane` memory for a plane.
template <class Use>
INLINE void each_gradient(const Stage& s, const V* raw, const V* out, const V* gradient, V* plane, const Affine& affine, Use use) {
  const Frame &from = s.raw.frame, &to = s.out.frame;
  const V zero = {};
  if (!s.pools) {
    for (int i = 0; i < from.height; i++)
      for (int j = 0; j < from.width; j++) {
        V g = gradient[i * to.width + j];
        if (s.relu) g = masked(affine.of(raw[i * from.row() + j]) > zero, g);
        use(i, j, g);
      }
    return;
  }
  if (pools_pairs(s)) {
    for (int i = 0; i < to.height; i++)
      for (int j = 0; j < to.width; j++) {
        const V* q = raw + 2 * i * from.row() + 2 * j;
        V most = out[i * to.row() + j], left = gradient[i * to.width + j];
        if (s.relu) left = masked(most > zero, left);
        M first = affine.of(q[0]) == most, second = affine.of(q[1]) == most, third = affine.of(q[from.row()]) == most;
        second &= ~first, third &= ~(first | second);
        use(2 * i, 2 * j, masked(first, left)), use(2 * i, 2 * j + 1, masked(second, left));
        use(2 * i + 1, 2 * j, masked(third, left));
        use(2 * i + 1, 2 * j + 1, masked(~(first | second | third), left));
      }
    for (int i = 0; i < from.height; i++)  // what no window covers
      for (int j = i < 2 * to.height ? 2 * to.width : 0; j < from.width; j++) use(i, j, zero);
    return;
  }
  clear(plane, (size_t)from.height * from.width);
  for (int i = 0; i < to.height; i++)
    for (int j = 0; j < to.width; j++) {
      Window w(s, i, j);
      V most = out[i * to.row() + j], left = gradient[i * to.width + j];
      if (s.relu) left = masked(most > zero, left);
      M found = {};
      for (int y = w.top; y < w.bottom; y++)
        for (int x = w.left; x < w.right; x++) {
          M here = (affine.of(raw[y * from.row() + x]) == most) & ~found;
          plane[y * from.width + x] += masked(here, left);
          found |= here;
        }
    }
  for (int i = 0; i < from.height; i++)
    for (int j = 0; j < from.width; j++) use(i, j, plane[i * from.width + j]);
}

// What batch norm must know of all gradients before it can pass any back.
static void sum_gradients(const Stage& s, float* memory, int64_t number, const V* gradient, V* plane, GradientSums* found) {
  const Frame &from = s.raw.frame, &to = s.out.frame;
  const V* raw = s.raw.block(memory, number) + from.inside();
  const V* out = s.out.block(memory, number) + to.inside();
  for (int c = 0; c < from.channels; c++) {
    const V* values = raw + c * from.plane();
    const V mean = splat(s.mean[c]);
    GradientSums sums = {};
    each_gradient(s, values, out + c * to.plane(), gradient + c * to.height * to.width, plane, Affine(s, c),
                  [&](int i, int j, V g) { sums.plain += g, sums.products += g * (values[i * from.row() + j] - mean); });
    found[c] = sums;
  }
}

// Gradients of `raw` into a block of `frame`; `factors` where batch norm stands between, for the lanes that are in use.
static void pass_gradients(const Stage& s, float* memory, int64_t number, const V* gradient, V* plane,
                           const GradientFactors* factors, M used, const Frame& frame, V* to_block) {
  const Frame &from = s.raw.frame, &to = s.out.frame;
  const V* raw = s.raw.block(memory, number) + from.inside();
  const V* out = s.out.block(memory, number) + to.inside();
  for (int c = 0; c < from.channels; c++) {
    const V *values = raw + c * from.plane(), *of_out = out + c * to.plane(), *given = gradient + c * to.height * to.width;
    V* target = to_block + frame.inside() + c * frame.plane();
    if (!factors) {
      each_gradient(s, values, of_out, given, plane, Affine(s, c),
                    [&](int i, int j, V g) { target[i * frame.row() + j] = g; });
      continue;
    }
    const V at = masked(used, factors[c].at), by = masked(used, factors[c].by), plus = masked(used, factors[c].plus);
    each_gradient(s, values, of_out, given, plane, Affine(s, c), [&](int i, int j, V g) {
      target[i * frame.row() + j] = g * at + values[i * from.row() + j] * by + plus;
    });
  }
}
