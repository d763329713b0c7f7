// Batch norm: statistics of a batch from those of its blocks, and what they do to values and gradients.
#pragma once
#include "stage.h"

// What a channel's values are multiplied by, and what is then added: (x - mean) * deviation * gamma + beta.
struct Affine {
  float scale, shift;
  Affine(float by, float plus) : scale(by), shift(plus) {}
  Affine(const Stage& s, int channel) {
    scale = s.deviation[channel] * (s.gamma ? s.gamma[channel] : 1);
    shift = (s.beta ? s.beta[channel] : 0) - s.mean[channel] * scale;
  }
};

// Mean and sum of squared distances from it, of every image's own values (a lane) of a channel.
struct Moments2 {
  V mean, squares;
};

// Of so many planes without a border; four sums at once hide how long each addition takes.
static void take_statistics(const Frame& f, const V* block, int channels, Moments2* found) {
  const int area = f.height * f.width;
  for (int c = 0; c < channels; c++, block += area) {
    V sums[4] = {}, squares[4] = {};
    int i = 0;
    for (; i + 4 <= area; i += 4) UNROLLED for (int k = 0; k < 4; k++) sums[k] += block[i + k];
    for (; i < area; i++) sums[0] += block[i];
    const V mean = ((sums[0] + sums[1]) + (sums[2] + sums[3])) / (float)area;
    for (i = 0; i + 4 <= area; i += 4)
      UNROLLED for (int k = 0; k < 4; k++) squares[k] += (block[i + k] - mean) * (block[i + k] - mean);
    for (; i < area; i++) squares[0] += (block[i] - mean) * (block[i] - mean);
    found[c] = {mean, (squares[0] + squares[1]) + (squares[2] + squares[3])};
  }
}

// Joins what images say of a channel (Chan, Golub and LeVeque 1979, of groups of equal size) in float64.
static void join_statistics(const Stage& s, const Moments2* found, int images) {
  const Frame& f = s.raw.frame;
  const double each = (double)f.height * f.width, all = each * images;
  for (int c = 0; c < f.channels; c++) {
    double sum = 0, squares = 0;
    for (int n = 0; n < images; n++) sum += found[n / LANES * f.channels + c].mean[n % LANES];
    const double mean = sum / images;
    for (int n = 0; n < images; n++) {
      const Moments2& one = found[n / LANES * f.channels + c];
      const double distance = one.mean[n % LANES] - mean;
      squares += one.squares[n % LANES] + each * distance * distance;
    }
    s.mean[c] = (float)mean;
    s.deviation[c] = (float)(1 / sqrt(squares / all + s.epsilon));
    if (!s.running_mean) continue;
    s.running_mean[c] = (float)((1 - (double)s.momentum) * s.running_mean[c] + s.momentum * mean);
    s.running_variance[c] = (float)((1 - (double)s.momentum) * s.running_variance[c] + s.momentum * squares / (all - 1));
  }
}

static void take_running(const Stage& s) {
  for (int c = 0; c < s.raw.frame.channels; c++) {
    s.mean[c] = s.running_mean[c];
    s.deviation[c] = 1 / sqrtf(s.running_variance[c] + s.epsilon);
  }
}

// Of the gradients of normalised values: their sum, and that of their products with the centred values.
struct GradientSums {
  V plain, products;
};

// From sums to the factors of a channel: a gradient of the values is gradient * at + value * by + plus.
struct GradientFactors {
  V at, by, plus;
};

static void join_gradients(const Stage& s, const GradientSums* found, int images, GradientFactors* factors) {
  const Frame& f = s.raw.frame;
  const double all = (double)f.height * f.width * images;  // zeros among the gradients count
  for (int c = 0; c < f.channels; c++) {
    double plain = 0, products = 0;
    for (int n = 0; n < images; n++) {
      const GradientSums& one = found[n / LANES * f.channels + c];
      plain += one.plain[n % LANES], products += one.products[n % LANES];
    }
    const double deviation = s.deviation[c], scale = Affine(s, c).scale;
    if (s.gamma_gradient) s.gamma_gradient[c] = (float)(products * deviation);
    if (s.beta_gradient) s.beta_gradient[c] = (float)plain;
    const double by = -scale * deviation * deviation * products / all;
    factors[c] = {splat((float)scale), splat((float)by), splat((float)(-scale * plain / all - by * s.mean[c]))};
  }
}
