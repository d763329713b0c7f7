// 3×3 convolutions of stride 1 by Winograd's minimal filtering on the points 0, ±1, ±2 and infinity: F(4×4, 3×3), a tile
// of 4×4 sums by 36 products instead of 144, and for the gradients of weights F(3×3, 4×4), nine sums by 36 (Lavin and
// Gray 2016, "Fast Algorithms for Convolutional Neural Networks"). A patch of 6×6 values and a kernel, or a tile of
// gradients, are transformed, multiplied element by element and summed, which is `products` and `moments` with a tap a
// channel, and the sums are transformed back.
#pragma once
#include "direct.h"

constexpr int TILE = 4, PATCH = TILE + 2, ELEMENTS = PATCH * PATCH;
constexpr int PRODUCT_TILES = 7;   // of one go, beside so many sums: what is transformed stays in the second-level cache
constexpr int PRODUCT_SUMS = 32;
constexpr int MOMENT_TILES = 18;   // of one go: more, and tiles leave the cache; fewer, and sums are fetched more often

// Transforms of a line of values to the six points and back from them; the same once more across makes one of squares.
struct OfPatch {
  static constexpr int FROM = PATCH, TO = PATCH;
  template <class T>
  INLINE void line(const T* d, T* to) {
    const T a = d[4] - 4.f * d[2], b = d[3] - 4.f * d[1], c = d[4] - d[2], e = 2.f * (d[3] - d[1]);
    to[0] = 4.f * d[0] - 5.f * d[2] + d[4], to[1] = a + b, to[2] = a - b;
    to[3] = c + e, to[4] = c - e, to[5] = 4.f * d[1] - 5.f * d[3] + d[5];
  }
};

struct OfKernel {
  static constexpr int FROM = 3, TO = PATCH;
  template <class T>
  INLINE void line(const T* g, T* to) {
    const T a = g[0] + g[2], c = g[0] + 4.f * g[2], e = 2.f * g[1];
    to[0] = g[0] * (1 / 4.f), to[1] = (a + g[1]) * (-1 / 6.f), to[2] = (a - g[1]) * (-1 / 6.f);
    to[3] = (c + e) * (1 / 24.f), to[4] = (c - e) * (1 / 24.f), to[5] = g[2];
  }
};

struct OfGradients {
  static constexpr int FROM = TILE, TO = PATCH;
  template <class T>
  INLINE void line(const T* g, T* to) {
    const T a = g[0] + g[2], b = g[1] + g[3], c = g[0] + 4.f * g[2], e = 2.f * g[1] + 8.f * g[3];
    to[0] = g[0] * (1 / 4.f), to[1] = (a + b) * (-1 / 6.f), to[2] = (a - b) * (-1 / 6.f);
    to[3] = (c + e) * (1 / 24.f), to[4] = (c - e) * (1 / 24.f), to[5] = g[3];
  }
};

struct ToTile {
  static constexpr int FROM = PATCH, TO = TILE;
  template <class T>
  INLINE void line(const T* m, T* to) {
    const T a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], e = m[3] - m[4];
    to[0] = m[0] + a + c, to[1] = b + 2.f * e, to[2] = a + 4.f * c, to[3] = b + 8.f * e + m[5];
  }
};

struct ToKernel {
  static constexpr int FROM = PATCH, TO = 3;
  template <class T>
  INLINE void line(const T* m, T* to) {
    const T c = m[3] + m[4];
    to[0] = m[0] + m[1] + m[2] + c, to[1] = m[1] - m[2] + 2.f * (m[3] - m[4]), to[2] = m[1] + m[2] + 4.f * c + m[5];
  }
};

// Calls get(row, column) for every value of the square, then put(row, column, value) for every one of what it becomes.
template <class How, class T, class Get, class Put>
INLINE void transform(Get get, Put put) {
  T half[How::TO][How::FROM];
  UNROLLED for (int j = 0; j < How::FROM; j++) {
    T from[How::FROM], to[How::TO];
    UNROLLED for (int i = 0; i < How::FROM; i++) from[i] = get(i, j);
    How::line(from, to);
    UNROLLED for (int i = 0; i < How::TO; i++) half[i][j] = to[i];
  }
  UNROLLED for (int i = 0; i < How::TO; i++) {
    T to[How::TO];
    How::line(half[i], to);
    UNROLLED for (int j = 0; j < How::TO; j++) put(i, j, to[j]);
  }
}

// The tiles that a plane of sums is cut into, row by row; the last of a row or column may hang over.
struct Tiling {
  int height, width, across, count;
  Tiling() = default;
  Tiling(int h, int w) : height(h), width(w), across(ceiling(w, TILE)), count(across * ceiling(h, TILE)) {}
  int top(int tile) const { return tile / across * TILE; }
  int left(int tile) const { return tile % across * TILE; }
  // Values of a square at a tile's corner that reaches `beyond` the tile, with zeros for what the plane has not.
  template <class How>
  void spread(int tile, int beyond, const V* plane, int row, V* to, size_t step) const {
    const V* from = plane + top(tile) * row + left(tile);
    const int rows = height + beyond - top(tile), columns = width + beyond - left(tile);
    auto put = [=](int i, int j, V value) { to[(i * PATCH + j) * step] = value; };
    if (rows >= How::FROM && columns >= How::FROM) {
      transform<How, V>([=](int i, int j) { return from[i * row + j]; }, put);
      return;
    }
    V filled[How::FROM * How::FROM] = {};
    for (int i = 0; i < rows && i < How::FROM; i++)
      for (int j = 0; j < columns && j < How::FROM; j++) filled[i * How::FROM + j] = from[i * row + j];
    transform<How, V>([&](int i, int j) { return filled[i * How::FROM + j]; }, put);
  }
};

// Steps from one element to the next of what is transformed are odd, so that no two share their places in a cache.
INLINE size_t apart(int vectors) { return vectors | 1; }

// How many fewer products there are: 4, or less where tiles hang over.
INLINE float saved_products(int height, int width) { return (float)(height * width) / (TILE * Tiling(height, width).count); }

struct Winograd {
  int channels, sums;  // in and out
  Tiling tiling;
  ptrdiff_t* offsets;  // of the channels
  float* weights;      // for each go of sums, for each element what `pack_weights` gives
  V *transformed, *multiplied;

  // `at` is called (sum, channel, row, column) for the weights of the correlation.
  template <class At>
  void prepare(int from, int to, int height, int width, Scratch& scratch, At at) {
    channels = from, sums = to, tiling = Tiling(height, width);
    offsets = scratch.offsets(channels);
    weights = scratch.floats((size_t)ELEMENTS * channels * sums);
    transformed = scratch.vectors(ELEMENTS * apart(channels * PRODUCT_TILES));
    multiplied = scratch.vectors(ELEMENTS * apart(PRODUCT_SUMS * PRODUCT_TILES));
    float* kernels = scratch.floats((size_t)ELEMENTS * channels * sums);
    if (!scratch.base) return;
    const size_t step = (size_t)channels * sums;
    for (int s = 0; s < sums; s++)
      for (int c = 0; c < channels; c++)
        transform<OfKernel, float>([&](int i, int j) { return at(s, c, i, j); },
                                   [&](int i, int j, float value) { kernels[(i * PATCH + j) * step + s * channels + c] = value; });
    float* packed = weights;
    for (int first = 0; first < sums; first += PRODUCT_SUMS)
      for (int e = 0; e < ELEMENTS; e++, packed += sums_of_go(first) * channels)
        pack_weights(sums_of_go(first), channels, packed,
                     [&](int s, int c) { return kernels[e * step + (first + s) * channels + c]; });
  }

  int sums_of_go(int first) const { return sums - first < PRODUCT_SUMS ? sums - first : PRODUCT_SUMS; }

  // All sums of a block: `x` (first value of the first patch) has rows of `in_row` vectors, `out` of `out_row`.
  void run(const V* x, int in_row, int in_plane, const float* bias, bool relu, V* out, int out_row, int out_plane) const {
    const Parts parts(tiling.count, PRODUCT_TILES);
    for (int part = 0; part < parts.count(); part++) {
      const int start = parts.start(part), tiles = parts.of(part);
      const size_t step = apart(channels * tiles);
      for (int c = 0; c < channels; c++) {
        offsets[c] = (ptrdiff_t)c * tiles * sizeof(V);
        for (int t = 0; t < tiles; t++)
          tiling.spread<OfPatch>(start + t, 2, x + (size_t)c * in_plane, in_row, transformed + c * tiles + t, step);
      }
      const float* packed = weights;
      for (int first = 0; first < sums; first += PRODUCT_SUMS) {
        const int here = sums_of_go(first);
        const Walk walk = {1, tiles, 0, 0, 1, 1, tiles, false};
        for (int e = 0; e < ELEMENTS; e++, packed += here * channels)
          products(transformed + e * step, offsets, channels, packed, here, multiplied + e * apart(here * tiles), walk);
        for (int s = 0; s < here; s++)
          for (int t = 0; t < tiles; t++)
            collect(start + t, multiplied + s * tiles + t, apart(here * tiles), bias ? bias[first + s] : 0, relu,
                    out + (size_t)(first + s) * out_plane, out_row);
      }
    }
  }

  // A tile of sums; what hangs over is not kept.
  void collect(int tile, const V* from, size_t step, float bias, bool relu, V* plane, int row) const {
    V* to = plane + tiling.top(tile) * row + tiling.left(tile);
    V found[TILE * TILE];
    transform<ToTile, V>([=](int i, int j) { return from[(i * PATCH + j) * step]; },
                         [&](int i, int j, V value) { found[i * TILE + j] = value + splat(bias); });
    for (int i = 0; i < TILE && i < tiling.height - tiling.top(tile); i++)
      for (int j = 0; j < TILE && j < tiling.width - tiling.left(tile); j++) {
        const V sum = found[i * TILE + j];
        to[i * row + j] = relu ? rectified(sum) : sum;
      }
  }
};

// Gradients of the weights, as moments of transformed gradients and patches; they are transformed back at the end.
struct WinogradMoments {
  int channels, outputs;
  Tiling tiling;
  ptrdiff_t* offsets;  // of the channels
  V *patches, *gradients;

  void prepare(int from, int to, int height, int width, Scratch& scratch) {
    channels = from, outputs = to, tiling = Tiling(height, width);
    offsets = scratch.offsets(channels);
    patches = scratch.vectors(ELEMENTS * apart(channels * MOMENT_TILES));
    gradients = scratch.vectors(ELEMENTS * apart(outputs * MOMENT_TILES));
  }

  // Adds to the sums (elements, groups of outputs, channels) what a block gives; `gradient` is its first value, `x` the first
  // patch's.
  void add(const V* gradient, int gradient_row, int gradient_plane, const V* x, int in_row, int in_plane, V* sums) const {
    const Parts parts(tiling.count, MOMENT_TILES), groups(outputs, MOST_CHANNELS);
    for (int part = 0; part < parts.count(); part++) {
      const int start = parts.start(part), tiles = parts.of(part);
      const size_t patch_step = apart(channels * tiles), gradient_step = apart(outputs * tiles);
      for (int c = 0; c < channels; c++) {
        offsets[c] = (ptrdiff_t)c * tiles * sizeof(V);
        for (int t = 0; t < tiles; t++)
          tiling.spread<OfPatch>(start + t, 2, x + (size_t)c * in_plane, in_row, patches + c * tiles + t, patch_step);
      }
      for (int o = 0; o < outputs; o++)
        for (int t = 0; t < tiles; t++)
          tiling.spread<OfGradients>(start + t, 0, gradient + (size_t)o * gradient_plane, gradient_row,
                                     gradients + o * tiles + t, gradient_step);
      const Strip strip = {1, tiles, 0, tiles, 0, 1};
      for (int e = 0; e < ELEMENTS; e++)
        for (int g = 0; g < groups.count(); g++)
          moments_group(gradients + e * gradient_step + groups.start(g) * tiles, patches + e * patch_step, offsets, channels,
                        groups.of(g), sums + ((size_t)e * groups.count() + g) * channels, strip);
    }
  }

  // From the sums to gradients (outputs, channels, 3, 3).
  void finish(const V* sums, float* weights) const {
    const Parts groups(outputs, MOST_CHANNELS);
    const size_t step = (size_t)groups.count() * channels;
    for (int g = 0; g < groups.count(); g++)
      for (int from = 0; from < channels; from++)
        transform<ToKernel, V>([&](int i, int j) { return sums[(i * PATCH + j) * step + (size_t)g * channels + from]; },
                               [&](int i, int j, V value) {
                                 for (int c = 0; c < groups.of(g); c++)
                                   weights[((size_t)(groups.start(g) + c) * channels + from) * 9 + 3 * i + j] = sum_quarter(value, c);
                               });
  }
};
