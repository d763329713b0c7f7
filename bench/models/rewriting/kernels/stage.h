// What every kernel knows: vectors of images, frames of maps, and the stages of a chain as Python describes them.
//
// A block is as many images as a vector has lanes; a map of a block is a plane of vectors, one a pixel. Each image has a
// lane to itself, so no channel count leaves a vector half empty, and every weight is one broadcast.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#ifndef LANES
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#endif

typedef float V __attribute__((vector_size(4 * LANES)));
typedef int32_t M __attribute__((vector_size(4 * LANES)));  // what a comparison of two V gives: 0 or -1
#if LANES == 16 && defined(__AVX512F__)
typedef __mmask16 Mask;  // some of the lanes
#else
typedef M Mask;
#endif
#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")  // clang knows it by this name too

INLINE V splat(float value) { return value - V{}; }  // a sum would have to turn -0 into 0

// max(0, x) that keeps a NaN, as torch's ReLU does.
INLINE V rectified(V x) {
#if LANES == 16 && defined(__AVX512F__)
  return (V)_mm512_max_ps(_mm512_setzero_ps(), (__m512)x);
#elif LANES == 8 && defined(__AVX__)
  return (V)_mm256_max_ps(_mm256_setzero_ps(), (__m256)x);
#else
  return x < V{} ? V{} : x;
#endif
}

// The larger of two; either where one is NaN.
INLINE V larger(V a, V b) {
#if LANES == 16 && defined(__AVX512F__)
  return (V)_mm512_max_ps((__m512)a, (__m512)b);
#elif LANES == 8 && defined(__AVX__)
  return (V)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return a > b ? a : b;
#endif
}

// Where two are equal, where one is above 0, and where one of two is NaN.
INLINE Mask equal(V a, V b) {
#if LANES == 16 && defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ);
#else
  return a == b;
#endif
}
INLINE Mask is_positive(V x) {
#if LANES == 16 && defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)x, _mm512_setzero_ps(), _CMP_GT_OQ);
#else
  return x > V{};
#endif
}
INLINE Mask has_nan(V a, V b) {
#if LANES == 16 && defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_UNORD_Q);
#elif LANES == 8 && defined(__AVX__)
  return (M)_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_UNORD_Q);
#else
  return (a != a) | (b != b);
#endif
}

// Zeros, and NaN, in some lanes: those that a mask leaves out, and those that it has.
INLINE V masked(Mask mask, V x) {
#if LANES == 16 && defined(__AVX512F__)
  return (V)_mm512_maskz_mov_ps(mask, (__m512)x);
#else
  return (V)(mask & (M)x);
#endif
}
INLINE V poisoned(Mask mask, V x) {
#if LANES == 16 && defined(__AVX512F__)
  return (V)_mm512_mask_mov_ps((__m512)x, mask, (__m512)splat(NAN));
#else
  return (V)((M)x | mask);  // all bits set
#endif
}

// Keeps a value in a register that the compiler would else load again for every use.
INLINE void hold(V& x) {
#if defined(__AVX512F__)
  asm("" : "+v"(x));
#elif (defined(__AVX__) && LANES == 8) || (defined(__SSE2__) && LANES == 4)
  asm("" : "+x"(x));
#else
  (void)x;
#endif
}

// Offsets count bytes, so that an address is one sum.
INLINE const V* moved(const V* x, ptrdiff_t offset) { return (const V*)((const char*)x + offset); }

// Lanes of two vectors, picked by number.
#if defined(__clang__)
#define PICKED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICKED(a, b, ...) __builtin_shuffle(a, b, M{__VA_ARGS__})
#endif

// Lanes of four vectors added up to a quarter of a vector each, side by side.
INLINE V added_up(V a, V b, V c, V d) {
#if LANES == 16
  const V ab = PICKED(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
               PICKED(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  const V cd = PICKED(c, d, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
               PICKED(c, d, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  return PICKED(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
         PICKED(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
#elif LANES == 8
  const V ab = PICKED(a, b, 0, 1, 2, 3, 8, 9, 10, 11) + PICKED(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  const V cd = PICKED(c, d, 0, 1, 2, 3, 8, 9, 10, 11) + PICKED(c, d, 4, 5, 6, 7, 12, 13, 14, 15);
  return PICKED(ab, cd, 0, 1, 4, 5, 8, 9, 12, 13) + PICKED(ab, cd, 2, 3, 6, 7, 10, 11, 14, 15);
#else
  const V ab = PICKED(a, b, 0, 1, 4, 5) + PICKED(a, b, 2, 3, 6, 7);
  const V cd = PICKED(c, d, 0, 1, 4, 5) + PICKED(c, d, 2, 3, 6, 7);
  return PICKED(ab, cd, 0, 2, 4, 6) + PICKED(ab, cd, 1, 3, 5, 7);
#endif
}

// What a quarter of a vector adds up to.
INLINE float sum_quarter(V x, int quarter) {
  float sum = 0;
  UNROLLED for (int lane = 0; lane < LANES / 4; lane++) sum += x[quarter * (LANES / 4) + lane];
  return sum;
}

INLINE float sum_lanes(V x) {
  for (int half = LANES / 2; half; half /= 2)
    for (int lane = 0; lane < half; lane++) x[lane] += x[lane + half];
  return x[0];
}

// The maps of one block: planes of rows, with a border of zeros that a convolution reads.
struct Frame {
  int32_t channels, height, width, border_h, border_w;
  int row() const { return width + 2 * border_w; }
  int plane() const { return (height + 2 * border_h) * row(); }
  int vectors() const { return channels * plane(); }
  int inside() const { return border_h * row() + border_w; }  // of a plane: where its first pixel lies
};

// A frame of every block, or one that all blocks take turns in (step 0); both numbers count floats.
struct Maps {
  Frame frame;
  int64_t at, step;
  V* block(float* memory, int64_t number) const { return (V*)(memory + at + number * step); }
};

enum Norm { NO_NORM, OF_BATCH, OF_RUNNING };

// Convolution, batch norm, ReLU and max pool, in this order and each only where it is wanted.
struct Stage {
  Maps in, raw;     // raw: what the convolution gives; it is `out` where nothing but a ReLU follows, `in` without one
  Maps pooled, out;  // pooled: what a pool gives that batch norm follows; `raw` without a pool, `out` without a norm
  int32_t convolves, kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w;
  int32_t norm, relu;
  int32_t pools, pool_h, pool_w, pool_stride_h, pool_stride_w, pool_padding_h, pool_padding_w;
  int32_t wants_input_gradient;
  int32_t passing;  // `raw` is not kept, each group of channels takes the place of the one before: the way back computes
                    // it again, which with few taps takes less time than to write it down and to read it
  float epsilon, momentum;
  const float *weight, *bias, *gamma, *beta;  // null where there is none
  float *running_mean, *running_variance;
  float *mean, *deviation;  // of the batch (channels); deviation is 1 / sqrt(variance + epsilon)
  float *weight_gradient, *bias_gradient, *gamma_gradient, *beta_gradient;

  int taps() const { return in.frame.channels * kernel_h * kernel_w; }
  bool writes_out() const { return norm == NO_NORM && !pools; }  // the convolution itself, ReLU included
};

INLINE void clear(V* to, size_t vectors) { memset(to, 0, vectors * sizeof(V)); }

// Zeros around every plane of a block.
static void clear_border(const Frame& f, V* block) {
  if (!f.border_h && !f.border_w) return;
  for (int c = 0; c < f.channels; c++, block += f.plane()) {
    clear(block, f.inside());
    for (int i = 1; i < f.height; i++) clear(block + f.inside() + i * f.row() - 2 * f.border_w, 2 * f.border_w);
    clear(block + f.inside() + f.height * f.row() - 2 * f.border_w, f.inside());
  }
}

// Memory that is laid out twice: once to count it, once to hand it out.
struct Scratch {
  char* base;
  size_t used;
  void* take(size_t bytes) {
    void* place = base ? base + used : nullptr;
    used += (bytes + 63) / 64 * 64;
    return place;
  }
  float* floats(size_t count) { return (float*)take(count * sizeof(float)); }
  ptrdiff_t* offsets(size_t count) { return (ptrdiff_t*)take(count * sizeof(ptrdiff_t)); }
  V* vectors(size_t count) { return (V*)take(count * sizeof(V)); }
};

INLINE int ceiling(int a, int b) { return (a + b - 1) / b; }
