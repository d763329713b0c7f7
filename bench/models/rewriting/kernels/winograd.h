// 3×3 convolutions of stride 1 as Winograd's F(2×2, 3×3): four sums by 16 products instead of 36 (Lavin and Gray 2016,
// "Fast Algorithms for Convolutional Neural Networks"). A patch of 4×4 values and a kernel are transformed, multiplied
// element by element and summed over channels, which is `products` with a tap a channel, and transformed back.
#pragma once
#include "direct.h"

constexpr int WINOGRAD_TILES = 14;  // of one go: what is transformed then stays in the second-level cache

struct Winograd {
  int channels, sums;      // in and out
  int tiles_down, tiles_across, rows_at_once;
  ptrdiff_t* offsets;        // of the channels
  float* weights;          // 16 times what `pack_weights` gives
  V *transformed, *multiplied;

  int most_tiles() const { return rows_at_once * tiles_across; }

  // `at` is called (sum, channel, row, column) for the weights of the correlation.
  template <class At>
  void prepare(int from, int to, int height, int width, Scratch& scratch, At at) {
    channels = from, sums = to;
    tiles_down = ceiling(height, 2), tiles_across = ceiling(width, 2);
    rows_at_once = WINOGRAD_TILES / tiles_across;
    rows_at_once = rows_at_once < 1 ? 1 : rows_at_once > tiles_down ? tiles_down : rows_at_once;
    offsets = scratch.offsets(channels);
    weights = scratch.floats((size_t)16 * channels * sums);
    transformed = scratch.vectors((size_t)16 * channels * most_tiles());
    multiplied = scratch.vectors((size_t)16 * sums * most_tiles());
    float* kernels = scratch.floats((size_t)16 * channels * sums);
    if (!scratch.base) return;
    for (int s = 0; s < sums; s++)
      for (int c = 0; c < channels; c++) transform_kernel(s, c, at, kernels + ((size_t)s * channels + c) * 16);
    for (int e = 0; e < 16; e++)
      pack_weights(sums, channels, weights + (size_t)e * channels * sums,
                   [&](int s, int c) { return kernels[((size_t)s * channels + c) * 16 + e]; });
  }

  template <class At>
  static void transform_kernel(int s, int c, At at, float* to) {
    float half[4][3];
    for (int j = 0; j < 3; j++) {
      float a = at(s, c, 0, j), b = at(s, c, 1, j), d = at(s, c, 2, j);
      half[0][j] = a, half[1][j] = (a + b + d) / 2, half[2][j] = (a - b + d) / 2, half[3][j] = d;
    }
    for (int i = 0; i < 4; i++, to += 4) {
      float a = half[i][0], b = half[i][1], d = half[i][2];
      to[0] = a, to[1] = (a + b + d) / 2, to[2] = (a - b + d) / 2, to[3] = d;
    }
  }

  // All sums of a block: `x` (first value of the first patch) has rows of `in_row` vectors, `out` of `out_row`.
  void run(const V* x, int in_row, int in_plane, int height, int width, const float* bias, bool relu, V* out, int out_row,
           int out_plane) const {
    for (int first = 0; first < tiles_down; first += rows_at_once) {
      int rows = tiles_down - first < rows_at_once ? tiles_down - first : rows_at_once;
      int tiles = rows * tiles_across;
      for (int c = 0; c < channels; c++) offsets[c] = (ptrdiff_t)c * tiles * sizeof(V);
      for (int c = 0; c < channels; c++)
        for (int i = 0; i < rows; i++)
          for (int j = 0; j < tiles_across; j++) {
            int top = 2 * (first + i), left = 2 * j;
            V* to = transformed + (size_t)c * tiles + i * tiles_across + j;
            const V* from = x + (size_t)c * in_plane + top * in_row + left;
            transform_patch(from, in_row, height + 2 - top, width + 2 - left, to, (size_t)channels * tiles);
          }
      Walk walk = {1, tiles, 0, 0, 1, 1, tiles, false};
      for (int e = 0; e < 16; e++)
        products(transformed + (size_t)e * channels * tiles, offsets, channels, weights + (size_t)e * channels * sums, sums,
                 multiplied + (size_t)e * sums * tiles, walk);
      for (int s = 0; s < sums; s++)
        for (int i = 0; i < rows; i++)
          for (int j = 0; j < tiles_across; j++) {
            int top = 2 * (first + i), left = 2 * j;
            const V* from = multiplied + (size_t)s * tiles + i * tiles_across + j;
            V* to = out + (size_t)s * out_plane + top * out_row + left;
            transform_back(from, (size_t)sums * tiles, bias ? bias[s] : 0, relu, to, out_row, height - top, width - left);
          }
    }
  }

  // So many rows and columns of the patch exist; the others are never seen in what is kept.
  static void transform_patch(const V* from, int row, int rows, int columns, V* to, size_t step) {
    V d[4][4], half[4][4];
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 4; j++) d[i][j] = i < rows && j < columns ? from[i * row + j] : V{};
    for (int j = 0; j < 4; j++) {
      half[0][j] = d[0][j] - d[2][j], half[1][j] = d[1][j] + d[2][j];
      half[2][j] = d[2][j] - d[1][j], half[3][j] = d[1][j] - d[3][j];
    }
    for (int i = 0; i < 4; i++, to += 4 * step) {
      const V* h = half[i];
      to[0] = h[0] - h[2], to[step] = h[1] + h[2], to[2 * step] = h[2] - h[1], to[3 * step] = h[1] - h[3];
    }
  }

  static void transform_back(const V* from, size_t step, float bias, bool relu, V* to, int row, int rows, int columns) {
    V half[2][4];
    for (int j = 0; j < 4; j++) {
      V a = from[j * step], b = from[(4 + j) * step], c = from[(8 + j) * step], d = from[(12 + j) * step];
      half[0][j] = a + b + c, half[1][j] = b - c - d;
    }
    for (int i = 0; i < 2 && i < rows; i++) {
      const V* h = half[i];
      V results[2] = {h[0] + h[1] + h[2] + splat(bias), h[1] - h[2] - h[3] + splat(bias)};
      for (int j = 0; j < 2 && j < columns; j++) to[i * row + j] = relu ? rectified(results[j]) : results[j];
    }
  }
};
