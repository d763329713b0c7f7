// The two sums of products that every convolution is made of, in tiles that stay in registers.
//
// products: out[c][p] = sum over taps of x[p + offset of the tap] * weight[tap][c]    (forward, backward data)
// moments:  sum[c][t] += sum over places of gradient[c][place] * x[place + offset[t]] (backward weights), with a vector
//           for each four channels c, in which each of them has a quarter of the lanes
//
// Taps are offsets into the input, so that kernels of any size, padding and stride are the same loop.
#pragma once
#include "stage.h"

// Places of a tile beside so many channels: all sums, one row of factors and one broadcast fill the registers.
#if LANES == 16
constexpr int MOST_PLACES[] = {0, 8, 8, 8, 6};
#else
constexpr int MOST_PLACES[] = {0, 8, 6, 4, 3};
#endif
constexpr int MOST_CHANNELS = 4;

// `count` things in as few parts of at most `most` as there can be, as even as they can be: the larger parts first.
struct Parts {
  int larger, smaller, size;  // so many of `size`, then so many of `size - 1`
  Parts(int count, int most) {
    int parts = ceiling(count, most);
    size = ceiling(count, parts);
    smaller = parts * size - count;
    larger = parts - smaller;
  }
  int count() const { return larger + smaller; }
  int of(int part) const { return part < larger ? size : size - 1; }
  int start(int part) const { return part < larger ? part * size : part * (size - 1) + larger; }
};

// Where a plane of sums is read from and written to; steps count vectors.
struct Walk {
  int rows, columns;
  int in_row, out_row;       // from one row to the next
  int in_step, out_step;     // from one place to the next
  int out_plane;             // from one channel of the sums to the next
  bool relu;
};

template <int C, int P, int STEP>
INLINE void products_tile(const V* x, const ptrdiff_t* offsets, int taps, const float* weights, const float* bias, V* out,
                          const Walk& walk) {
  V sums[C][P];
  UNROLLED for (int c = 0; c < C; c++)
    UNROLLED for (int p = 0; p < P; p++) sums[c][p] = splat(bias ? bias[c] : 0);
  for (int tap = 0; tap < taps; tap++, weights += C) {
    const V* from = moved(x, offsets[tap]);
    V values[P];
    UNROLLED for (int p = 0; p < P; p++) values[p] = from[p * STEP];
    UNROLLED for (int c = 0; c < C; c++) {
      V weight = splat(weights[c]);
      UNROLLED for (int p = 0; p < P; p++) sums[c][p] += values[p] * weight;
    }
  }
  UNROLLED for (int c = 0; c < C; c++)
    UNROLLED for (int p = 0; p < P; p++)
      out[c * walk.out_plane + p * walk.out_step] = walk.relu ? rectified(sums[c][p]) : sums[c][p];
}

template <int C, int P, int STEP>
static void products_plane(const V* x, const ptrdiff_t* offsets, int taps, const float* weights, const float* bias, V* out,
                           const Walk& walk) {
  Parts parts(walk.columns, MOST_PLACES[C]);
  for (int i = 0; i < walk.rows; i++) {
    const V* from = x + i * walk.in_row;
    V* to = out + i * walk.out_row;
    for (int k = 0; k < parts.larger; k++, from += P * STEP, to += P * walk.out_step)
      products_tile<C, P, STEP>(from, offsets, taps, weights, bias, to, walk);
    if constexpr (P > 1)
      for (int k = 0; k < parts.smaller; k++, from += (P - 1) * STEP, to += (P - 1) * walk.out_step)
        products_tile<C, P - 1, STEP>(from, offsets, taps, weights, bias, to, walk);
  }
}

typedef void Products(const V*, const ptrdiff_t*, int, const float*, const float*, V*, const Walk&);

template <int C, int STEP>
static Products* find_products(int places) {
  switch (places) {
    case 1: return products_plane<C, 1, STEP>;
    case 2: return products_plane<C, 2, STEP>;
    case 3: return products_plane<C, 3, STEP>;
    case 4: if constexpr (MOST_PLACES[C] >= 4) return products_plane<C, 4, STEP>; break;
    case 5: if constexpr (MOST_PLACES[C] >= 5) return products_plane<C, 5, STEP>; break;
    case 6: if constexpr (MOST_PLACES[C] >= 6) return products_plane<C, 6, STEP>; break;
    case 7: if constexpr (MOST_PLACES[C] >= 7) return products_plane<C, 7, STEP>; break;
    case 8: if constexpr (MOST_PLACES[C] >= 8) return products_plane<C, 8, STEP>; break;
  }
  return nullptr;
}

// Channels that are computed together: as many as a tile holds.
struct Group {
  int first, size;
};

// Sums of a group of channels; `weights` are packed by `pack_weights`, `bias` is of all channels, `out` is the group's first plane.
static void products_group(const V* x, const ptrdiff_t* offsets, int taps, const float* weights, const float* bias,
                           const Group& group, V* out, const Walk& walk) {
  const int places = Parts(walk.columns, MOST_PLACES[group.size]).size;
  const bool strided = walk.in_step == 2;
  Products* run = nullptr;
  switch (group.size) {
    case 1: run = strided ? find_products<1, 2>(places) : find_products<1, 1>(places); break;
    case 2: run = strided ? find_products<2, 2>(places) : find_products<2, 1>(places); break;
    case 3: run = strided ? find_products<3, 2>(places) : find_products<3, 1>(places); break;
    case 4: run = strided ? find_products<4, 2>(places) : find_products<4, 1>(places); break;
  }
  run(x, offsets, taps, weights + (size_t)group.first * taps, bias ? bias + group.first : nullptr, out, walk);
}

// Sums of all output channels.
static void products(const V* x, const ptrdiff_t* offsets, int taps, const float* weights, int channels, V* out,
                     const Walk& walk) {
  Parts groups(channels, MOST_CHANNELS);
  for (int g = 0; g < groups.count(); g++) {
    const Group group = {groups.start(g), groups.of(g)};
    products_group(x, offsets, taps, weights, nullptr, group, out + group.first * walk.out_plane, walk);
  }
}

// The order in which `products` reads weights: group by group, in a group tap by tap; `at` is called (channel, tap).
template <class At>
static void pack_weights(int channels, int taps, float* packed, At at) {
  Parts groups(channels, MOST_CHANNELS);
  for (int g = 0; g < groups.count(); g++)
    for (int tap = 0; tap < taps; tap++)
      for (int c = 0; c < groups.of(g); c++) *packed++ = at(groups.start(g) + c, tap);
}

// Where gradients and inputs of moments lie.
struct Strip {
  int rows, columns;
  int gradient_row, gradient_plane;
  int in_row, in_step;
};

template <int C, int T, int STEP>
static void moments_tile(const V* gradient, const V* x, const ptrdiff_t* offsets, V* sums, const Strip& strip) {
  V held[MOST_CHANNELS][T] = {};
  const V* from[T];
  UNROLLED for (int t = 0; t < T; t++) from[t] = moved(x, offsets[t]);
  for (int i = 0; i < strip.rows; i++)
    for (int j = 0; j < strip.columns; j++) {
      const V* g = gradient + i * strip.gradient_row + j;
      int place = i * strip.in_row + j * STEP;
      V values[T];
      UNROLLED for (int t = 0; t < T; t++) {
        values[t] = from[t][place];
        hold(values[t]);
      }
      UNROLLED for (int c = 0; c < C; c++) {
        V one = g[c * strip.gradient_plane];
        hold(one);
        UNROLLED for (int t = 0; t < T; t++) held[c][t] += one * values[t];
      }
    }
  UNROLLED for (int t = 0; t < T; t++) sums[t] += added_up(held[0][t], held[1][t], held[2][t], held[3][t]);
}

typedef void Moments(const V*, const V*, const ptrdiff_t*, V*, const Strip&);

template <int C, int STEP>
static Moments* find_moments(int count) {
  switch (count) {
    case 1: return moments_tile<C, 1, STEP>;
    case 2: return moments_tile<C, 2, STEP>;
    case 3: return moments_tile<C, 3, STEP>;
    case 4: if constexpr (MOST_PLACES[C] >= 4) return moments_tile<C, 4, STEP>; break;
    case 5: if constexpr (MOST_PLACES[C] >= 5) return moments_tile<C, 5, STEP>; break;
    case 6: if constexpr (MOST_PLACES[C] >= 6) return moments_tile<C, 6, STEP>; break;
    case 7: if constexpr (MOST_PLACES[C] >= 7) return moments_tile<C, 7, STEP>; break;
    case 8: if constexpr (MOST_PLACES[C] >= 8) return moments_tile<C, 8, STEP>; break;
  }
  return nullptr;
}

template <int C, int STEP>
static void moments_of(const V* gradient, const V* x, const ptrdiff_t* offsets, int taps, V* sums, const Strip& strip) {
  Parts parts(taps, MOST_PLACES[C]);
  for (int part = 0; part < parts.count(); part++) {
    int first = parts.start(part);
    find_moments<C, STEP>(parts.of(part))(gradient, x, offsets + first, sums + first, strip);
  }
}

// Adds to the sums of a group of up to 4 channels, a vector a tap, what a strip of rows gives.
static void moments_group(const V* gradient, const V* x, const ptrdiff_t* offsets, int taps, int channels, V* sums,
                          const Strip& strip) {
  const bool strided = strip.in_step == 2;
  switch (channels) {
    case 1: (strided ? moments_of<1, 2> : moments_of<1, 1>)(gradient, x, offsets, taps, sums, strip); break;
    case 2: (strided ? moments_of<2, 2> : moments_of<2, 1>)(gradient, x, offsets, taps, sums, strip); break;
    case 3: (strided ? moments_of<3, 2> : moments_of<3, 1>)(gradient, x, offsets, taps, sums, strip); break;
    case 4: (strided ? moments_of<4, 2> : moments_of<4, 1>)(gradient, x, offsets, taps, sums, strip); break;
  }
}
