// A stage's convolution: forward, backward to its input, backward to its weights; one block at a time.
#pragma once
#include "winograd.h"

constexpr int WINOGRAD_CHANNELS = 16;  // from so many on both sides, fewer products pay for the transforms
constexpr float WINOGRAD_SAVES = 2;    // nor do they where tiles hang over so far that less is saved
constexpr int SUMS_PER_TILE = 1024;    // of a block's moments: more take longer to fetch than to add to
constexpr int STRIP_PLACES = 56;       // of a plane that moments are taken of in one go, in the first-level cache

INLINE bool suits_winograd(const Stage& s, const Frame& sums) {
  return s.kernel_h == 3 && s.kernel_w == 3 && s.stride_h == 1 && s.stride_w == 1 &&
         s.in.frame.channels >= WINOGRAD_CHANNELS && s.raw.frame.channels >= WINOGRAD_CHANNELS &&
         saved_products(sums.height, sums.width) >= WINOGRAD_SAVES;
}
INLINE bool suits_forward(const Stage& s) { return suits_winograd(s, s.raw.frame); }
INLINE bool suits_backward(const Stage& s) { return suits_winograd(s, s.in.frame); }
INLINE bool suits_moments(const Stage& s) {
  return suits_forward(s) &&
         s.in.frame.channels * s.raw.frame.channels <= SUMS_PER_TILE * Tiling(s.raw.frame.height, s.raw.frame.width).count;
}

// Groups of channels in which a convolution gives its maps, so that what follows finds them in the cache; by Winograd
// all at once, and where there is no convolution too.
struct Groups {
  Parts parts;
  explicit Groups(const Stage& s)
      : parts(s.raw.frame.channels, s.convolves && !suits_forward(s) ? MOST_CHANNELS : s.raw.frame.channels) {}
  int count() const { return parts.count(); }
  Group group(int number) const { return {parts.start(number), parts.of(number)}; }
};

// The planes of a group in a block of `raw`.
INLINE V* raw_planes(const Stage& s, float* memory, int64_t number, const Group& group) {
  return s.raw.block(memory, number) + (s.passing ? 0 : group.first * s.raw.frame.plane());
}

// Of (channel, row, column) of a kernel, in the order of the weights.
INLINE ptrdiff_t tap_offset(const Stage& s, int tap) {
  const int area = s.kernel_h * s.kernel_w, place = tap % area;
  const Frame& in = s.in.frame;
  return (ptrdiff_t)(tap / area * in.plane() + place / s.kernel_w * in.row() + place % s.kernel_w) * sizeof(V);
}

struct ForwardConvolution {
  ptrdiff_t* offsets;
  float* weights;
  Winograd winograd;

  void prepare(const Stage& s, Scratch& scratch) {
    const Frame& in = s.in.frame;
    const int channels = s.raw.frame.channels;
    if (suits_forward(s)) {
      winograd.prepare(in.channels, channels, s.raw.frame.height, s.raw.frame.width, scratch,
                       [&](int to, int from, int i, int j) { return s.weight[((size_t)to * in.channels + from) * 9 + 3 * i + j]; });
      return;
    }
    offsets = scratch.offsets(s.taps());
    weights = scratch.floats((size_t)channels * s.taps());
    if (!scratch.base) return;
    for (int tap = 0; tap < s.taps(); tap++) offsets[tap] = tap_offset(s, tap);
    pack_weights(channels, s.taps(), weights, [&](int to, int tap) { return s.weight[(size_t)to * s.taps() + tap]; });
  }

  void run(const Stage& s, float* memory, int64_t number, const Group& group) const {
    const Frame in = s.in.frame, raw = s.raw.frame;
    const V* x = s.in.block(memory, number) + (in.border_h - s.padding_h) * in.row() + in.border_w - s.padding_w;
    V* out = raw_planes(s, memory, number, group) + raw.inside();
    const bool relu = s.relu && s.writes_out();
    if (suits_forward(s)) {
      winograd.run(x, in.row(), in.plane(), s.bias, relu, out, raw.row(), raw.plane());
      return;
    }
    Walk walk = {raw.height, raw.width, s.stride_h * in.row(), raw.row(), s.stride_w, 1, raw.plane(), relu};
    products_group(x, offsets, s.taps(), weights, s.bias, group, out, walk);
  }
};

// Gradients of what the convolution gives, with the border that the way back to its input reads.
static Frame gradient_frame(const Stage& s) {
  Frame f = s.raw.frame;
  f.border_h = f.border_w = 0;
  if (!s.wants_input_gradient) return f;
  auto border = [](int kernel, int stride, int padding, int inputs, int outputs) {
    int before = ceiling(kernel - 1 - padding > 0 ? kernel - 1 - padding : 0, stride);
    int behind = (inputs - 1 + padding) / stride - (outputs - 1);
    return before > behind ? before : behind;
  };
  f.border_h = border(s.kernel_h, s.stride_h, s.padding_h, s.in.frame.height, f.height);
  f.border_w = border(s.kernel_w, s.stride_w, s.padding_w, s.in.frame.width, f.width);
  return f;
}

// With a stride, the places of the input fall into as many phases as the stride has steps, each with taps of its own.
struct BackwardConvolution {
  struct Phase {
    int row, column, taps;
    ptrdiff_t* offsets;
    float* weights;
  } phases[4];
  ptrdiff_t* offsets;  // of the moments
  V *sums, *bias_sums;
  Winograd winograd;
  WinogradMoments moments;

  void prepare(const Stage& s, const Frame& gradients, Scratch& scratch) {
    const Frame& in = s.in.frame;
    const int channels = s.raw.frame.channels;
    const size_t count = (size_t)Parts(channels, MOST_CHANNELS).count() * (suits_moments(s) ? ELEMENTS * in.channels : s.taps());
    offsets = scratch.offsets(s.taps());
    sums = scratch.vectors(count);
    bias_sums = scratch.vectors(channels);
    if (scratch.base) {
      for (int tap = 0; tap < s.taps(); tap++) offsets[tap] = tap_offset(s, tap);
      clear(sums, count);
      clear(bias_sums, channels);
    }
    if (suits_moments(s)) moments.prepare(in.channels, channels, s.raw.frame.height, s.raw.frame.width, scratch);
    if (!s.wants_input_gradient) return;
    if (suits_backward(s)) {
      winograd.prepare(channels, in.channels, in.height, in.width, scratch, [&](int to, int from, int i, int j) {
        return s.weight[((size_t)from * in.channels + to) * 9 + 8 - 3 * i - j];
      });
      return;
    }
    for (int phase = 0; phase < s.stride_h * s.stride_w; phase++) prepare_phase(s, gradients, phases[phase], phase, scratch);
  }

  static void prepare_phase(const Stage& s, const Frame& gradients, Phase& phase, int number, Scratch& scratch) {
    const int inputs = s.in.frame.channels, area = s.kernel_h * s.kernel_w;
    phase.row = number / s.stride_w, phase.column = number % s.stride_w;
    int places[64], count = 0;  // kernels have 7×7 taps at most
    int shifts[64];
    for (int tap = 0; tap < area; tap++) {
      int down = phase.row + s.padding_h - tap / s.kernel_w, across = phase.column + s.padding_w - tap % s.kernel_w;
      if (down % s.stride_h || across % s.stride_w) continue;
      places[count] = tap;
      shifts[count++] = down / s.stride_h * gradients.row() + across / s.stride_w;
    }
    phase.taps = count * gradients.channels;
    phase.offsets = scratch.offsets(phase.taps);
    phase.weights = scratch.floats((size_t)inputs * phase.taps);
    if (!scratch.base) return;
    for (int t = 0; t < phase.taps; t++) 
      phase.offsets[t] = (ptrdiff_t)(t / count * gradients.plane() + shifts[t % count]) * sizeof(V);
    pack_weights(inputs, phase.taps, phase.weights, [&](int to, int t) {
      return s.weight[((size_t)(t / count) * inputs + to) * area + places[t % count]];
    });
  }

  // `gradient` is a block of `gradients`; `to` one of maps without a border.
  void run(const Stage& s, const Frame& gradients, const V* gradient, const Frame& frame, V* to) const {
    const V* inside = gradient + gradients.inside();
    if (suits_backward(s)) {
      const V* x = inside - (2 - s.padding_h) * gradients.row() - (2 - s.padding_w);
      winograd.run(x, gradients.row(), gradients.plane(), nullptr, false, to + frame.inside(), frame.row(), frame.plane());
      return;
    }
    for (int number = 0; number < s.stride_h * s.stride_w; number++) {
      const Phase& phase = phases[number];
      Walk walk = {ceiling(frame.height - phase.row, s.stride_h), ceiling(frame.width - phase.column, s.stride_w),
                   gradients.row(), s.stride_h * frame.row(), 1, s.stride_w, frame.plane(), false};
      V* start = to + frame.inside() + phase.row * frame.row() + phase.column;
      if (walk.rows > 0 && walk.columns > 0)
        products(inside, phase.offsets, phase.taps, phase.weights, frame.channels, start, walk);
    }
  }

  // Adds what a block gives; `gradient` holds the planes of the group.
  void add_moments(const Stage& s, const Frame& gradients, const V* gradient, float* memory, int64_t number,
                   const Group& group) const {
    const Frame in = s.in.frame;
    const V* x = s.in.block(memory, number) + (in.border_h - s.padding_h) * in.row() + in.border_w - s.padding_w;
    const V* inside = gradient + gradients.inside();
    if (s.weight_gradient && suits_moments(s)) {
      moments.add(inside, gradients.row(), gradients.plane(), x, in.row(), in.plane(), sums);
    } else if (s.weight_gradient) {
      const Parts parts(s.raw.frame.channels, MOST_CHANNELS);
      for (int part = 0; part < parts.count(); part++) {
        const int channel = parts.start(part) - group.first;
        if (channel < 0 || channel >= group.size) continue;
        V* to = sums + (size_t)part * s.taps();
        add_products(s, gradients, inside + channel * gradients.plane(), x, offsets, parts.of(part), to);
      }
    }
    // Batch norm takes away what a bias adds: its gradient is exactly 0, where a sum would find what was rounded.
    if (!s.bias_gradient || s.norm == OF_BATCH) return;
    for (int c = 0; c < group.size; c++, inside += gradients.plane()) {
      V even = {}, odd = {};  // two sums at once hide how long each addition takes
      for (int i = 0; i < gradients.height; i++) {
        const V* row = inside + i * gradients.row();
        int j = 0;
        for (; j + 2 <= gradients.width; j += 2) even += row[j], odd += row[j + 1];
        if (j < gradients.width) even += row[j];
      }
      bias_sums[group.first + c] += even + odd;
    }
  }

  static void add_products(const Stage& s, const Frame& gradients, const V* inside, const V* x, const ptrdiff_t* offsets,
                           int channels, V* to) {
    const Frame in = s.in.frame;
    const int rows = STRIP_PLACES / gradients.width > 1 ? STRIP_PLACES / gradients.width : 1;
    for (int i = 0; i < gradients.height; i += rows) {
      int here = gradients.height - i < rows ? gradients.height - i : rows;
      Strip strip = {here, gradients.width, gradients.row(), gradients.plane(), s.stride_h * in.row(), s.stride_w};
      const V* from = x + i * s.stride_h * in.row();
      moments_group(inside + i * gradients.row(), from, offsets, s.taps(), channels, to, strip);
    }
  }

  void finish(const Stage& s) const {
    const Parts parts(s.raw.frame.channels, MOST_CHANNELS);
    if (s.weight_gradient && suits_moments(s)) {
      moments.finish(sums, s.weight_gradient);
    } else if (s.weight_gradient) {
      for (int part = 0; part < parts.count(); part++)
        for (int c = 0; c < parts.of(part); c++) {
          float* to = s.weight_gradient + (size_t)(parts.start(part) + c) * s.taps();
          for (int tap = 0; tap < s.taps(); tap++) to[tap] = sum_quarter(sums[(size_t)part * s.taps() + tap], c);
        }
    }
    if (s.bias_gradient)
      for (int c = 0; c < s.raw.frame.channels; c++) s.bias_gradient[c] = sum_lanes(bias_sums[c]);
  }
};
