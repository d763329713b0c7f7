// Batch norm: statistics of a batch from those of its blocks, and what they do to values and gradients.
#pragma once
#include "stage.h"

// What a channel's values are multiplied by, and what is then added: (x - mean) * deviation * gamma + beta.
struct Affine {
  float scale, shift;
  Affine(const Stage& s, int channel) {
    scale = 1, shift = 0;
    if (s.norm == NO_NORM) return;
    scale = s.deviation[channel] * (s.gamma ? s.gamma[channel] : 1);
    shift = (s.beta ? s.beta[channel] : 0) - s.mean[channel] * scale;
  }
  V of(V x) const { return x * scale + shift; }
};

// Mean and sum of squared distances from it, of every image's own values (a lane) of a channel.
struct Moments2 {
  V mean, squares;
};

static void take_statistics(const Frame& f, const V* block, Moments2* found) {
  for (int c = 0; c < f.channels; c++, block += f.plane()) {
    const V* inside = block + f.inside();
    V sums[2] = {}, squares[2] = {};
    for (int i = 0; i < f.height; i++) {
      const V* row = inside + i * f.row();
      int j = 0;
      for (; j + 1 < f.width; j += 2) sums[0] += row[j], sums[1] += row[j + 1];
      if (j < f.width) sums[0] += row[j];
    }
    V mean = (sums[0] + sums[1]) / (float)(f.height * f.width);
    for (int i = 0; i < f.height; i++) {
      const V* row = inside + i * f.row();
      int j = 0;
      for (; j + 1 < f.width; j += 2) {
        V a = row[j] - mean, b = row[j + 1] - mean;
        squares[0] += a * a, squares[1] += b * b;
      }
      if (j < f.width) squares[0] += (row[j] - mean) * (row[j] - mean);
    }
    found[c] = {mean, squares[0] + squares[1]};
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
  const double all = (double)f.height * f.width * images;
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
