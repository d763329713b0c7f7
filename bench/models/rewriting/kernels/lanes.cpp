// Chains of convolution, batch norm, ReLU and max pool, forward and backward, with a batch's images in vector lanes.
//
// A block of images goes through as many stages as it can while it is in the cache; only a batch norm needs all blocks
// before any goes on. One thread and a fixed order of every sum: the same input gives the same bits. Those of the
// weights' gradients depend on the number of lanes, whose sums are added up among themselves.
#include "pool.h"

namespace {

// Turns rows into columns: log2(LANES) perfect shuffles.
void transpose(V* rows) {
  for (int step = 1; step < LANES; step *= 2) {
    V next[LANES];
    for (int i = 0; i < LANES / 2; i++) {
      V a = rows[i], b = rows[i + LANES / 2];
#if LANES == 16
      next[2 * i] = PICKED(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      next[2 * i + 1] = PICKED(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif LANES == 8
      next[2 * i] = PICKED(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
      next[2 * i + 1] = PICKED(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
      next[2 * i] = PICKED(a, b, 0, 4, 1, 5);
      next[2 * i + 1] = PICKED(a, b, 2, 6, 3, 7);
#endif
    }
    memcpy(rows, next, sizeof next);
  }
}

// Goes through the values of a block in the order that an image has them, over its borders.
struct Cursor {
  V* at;
  const int width, height, row_gap, plane_gap;
  int column = 0, row = 0;
  Cursor(const Frame& f, V* block)
      : at(block + f.inside()), width(f.width), height(f.height), row_gap(2 * f.border_w), plane_gap(2 * f.border_h * f.row()) {}
  V& next() {
    V& here = *at++;
    if (++column == width) {
      column = 0, at += row_gap;
      if (++row == height) row = 0, at += plane_gap;
    }
    return here;
  }
};

// Up to LANES floats.
INLINE void copy(const void* from, void* to, size_t count) {
  if (count == LANES)
    memcpy(to, from, sizeof(V));
  else
    for (size_t k = 0; k < count; k++) ((float*)to)[k] = ((const float*)from)[k];
}

// Dense images (images, channels, height, width) into a block; lanes without an image are zero.
void pack(const float* images, int count, const Frame& f, V* block) {
  const size_t size = (size_t)f.channels * f.height * f.width;
  clear_border(f, block);
  Cursor cursor(f, block);
  for (size_t start = 0; start < size; start += LANES) {
    const size_t width = size - start < LANES ? size - start : LANES;
    V values[LANES];
    for (int n = 0; n < LANES; n++) {
      if (n >= count || width < LANES) values[n] = V{};
      if (n < count) copy(images + n * size + start, &values[n], width);
    }
    transpose(values);
    for (size_t k = 0; k < width; k++) cursor.next() = values[k];
  }
}

void unpack(V* block, const Frame& f, int count, float* images) {
  const size_t size = (size_t)f.channels * f.height * f.width;
  Cursor cursor(f, block);
  for (size_t start = 0; start < size; start += LANES) {
    const size_t width = size - start < LANES ? size - start : LANES;
    V values[LANES];
    for (size_t k = 0; k < LANES; k++) values[k] = k < width ? cursor.next() : V{};
    transpose(values);
    for (int n = 0; n < count; n++) copy(&values[n], images + n * size + start, width);
  }
}

int images_of(int images, int number) { return images - number * LANES < LANES ? images - number * LANES : LANES; }

Mask used_lanes(int count) {
  V left;
  for (int lane = 0; lane < LANES; lane++) left[lane] = count - lane;
  return is_positive(left);
}

Frame without_border(Frame f) {
  f.border_h = f.border_w = 0;
  return f;
}

// Stages from `first` whose statistics are known; the next that waits for all blocks, or `count`.
int next_norm(const Stage* stages, int first, int count) {
  while (first < count && stages[first].norm != OF_BATCH) first++;
  return first;
}

struct Forward {
  ForwardConvolution* convolutions;
  Moments2* statistics;

  void prepare(const Stage* stages, int count, int blocks, Scratch& scratch) {
    int most = 0;
    convolutions = (ForwardConvolution*)scratch.take(count * sizeof(ForwardConvolution));
    for (int s = 0; s < count; s++) {
      ForwardConvolution unused, *one = scratch.base ? convolutions + s : &unused;
      if (stages[s].convolves) one->prepare(stages[s], scratch);
      if (stages[s].norm == OF_BATCH && stages[s].raw.frame.channels > most) most = stages[s].raw.frame.channels;
    }
    statistics = (Moments2*)scratch.take((size_t)blocks * most * sizeof(Moments2));
  }

  // A block from what stage `first` is given, or from its convolution's result where that is known, to its end or to a
  // batch norm that must wait.
  void run(const Stage* stages, int count, int first, bool normalises, float* memory, int number) const {
    for (int s = first; s < count; s++) {
      const Stage& stage = stages[s];
      if (s > first || !normalises) {
        run_groups(stage, convolutions[s], memory, number);
        if (stage.norm == OF_BATCH) return;
      }
      if (stage.norm != NO_NORM || !(stage.convolves || stage.pools)) finish_block(stage, memory, number);
    }
  }

  // What comes before batch norm, and its statistics.
  void run_groups(const Stage& stage, const ForwardConvolution& convolution, float* memory, int number) const {
    if (stage.convolves && stage.writes_out()) clear_border(stage.out.frame, stage.out.block(memory, number));
    if (stage.pools) clear_border(stage.pooled.frame, stage.pooled.block(memory, number));
    const Groups groups(stage);
    for (int g = 0; g < groups.count(); g++) {
      const Group group = groups.group(g);
      if (stage.convolves) convolution.run(stage, memory, number, group);
      if (stage.norm == OF_BATCH) {
        Moments2* found = statistics + (size_t)number * stage.raw.frame.channels + group.first;
        take_statistics(stage.raw.frame, raw_planes(stage, memory, number, group), group.size, found);
      }
      if (stage.pools) pool_group(stage, memory, number, group);
    }
  }
};

struct Backward {
  BackwardConvolution* convolutions;
  ForwardConvolution* forward;  // of the stages that compute `raw` again
  Frame* frames;          // of the gradients of each stage's `raw`
  V** gradients;          // of what each stage gave: of all blocks before a batch norm, else of one
  V *of_raw, *of_input, *plane;
  GradientSums* sums;
  GradientFactors* factors;

  void prepare(const Stage* stages, int count, int blocks, Scratch& scratch) {
    size_t raw = 0, plane_size = 0;
    int channels = 0;
    convolutions = (BackwardConvolution*)scratch.take(count * sizeof(BackwardConvolution));
    forward = (ForwardConvolution*)scratch.take(count * sizeof(ForwardConvolution));
    frames = (Frame*)scratch.take(count * sizeof(Frame));
    gradients = (V**)scratch.take(count * sizeof(V*));
    for (int s = 0; s < count; s++) {
      const Stage& stage = stages[s];
      Frame frame = stage.convolves ? gradient_frame(stage) : without_border(stage.raw.frame);
      BackwardConvolution unused, *one = scratch.base ? convolutions + s : &unused;
      if (stage.convolves) one->prepare(stage, frame, scratch);
      ForwardConvolution again;
      if (stage.convolves && stage.passing) again.prepare(stage, scratch);
      if (scratch.base) forward[s] = again;
      const bool waits = stage.norm == OF_BATCH;
      V* place = scratch.vectors((size_t)without_border(stage.out.frame).vectors() * (waits ? blocks : 1));
      if (scratch.base) frames[s] = frame, gradients[s] = place;
      if ((size_t)frame.vectors() > raw) raw = frame.vectors();
      if ((size_t)(stage.raw.frame.height * stage.raw.frame.width) > plane_size)
        plane_size = stage.raw.frame.height * stage.raw.frame.width;
      if (stage.raw.frame.channels > channels) channels = stage.raw.frame.channels;
    }
    of_raw = scratch.vectors(raw);
    of_input = scratch.vectors(without_border(stages[0].in.frame).vectors());
    plane = scratch.vectors(plane_size);
    sums = (GradientSums*)scratch.take((size_t)blocks * channels * sizeof(GradientSums));
    factors = (GradientFactors*)scratch.take(channels * sizeof(GradientFactors));
  }

  V* given(const Stage* stages, int s, int number) const {
    if (s < 0) return of_input;
    const size_t step = stages[s].norm == OF_BATCH ? without_border(stages[s].out.frame).vectors() : 0;
    return gradients[s] + number * step;
  }

  // A block from stage `last` down to the first, or to a batch norm that must know the gradients of all blocks.
  void run(const Stage* stages, int last, bool normalised, float* memory, int number, Mask used) const {
    for (int s = last; s >= 0; s--) {
      const Stage& stage = stages[s];
      const V* gradient = given(stages, s, number);
      if (stage.norm == OF_BATCH && !(s == last && normalised)) {
        sum_gradients(stage, memory, number, gradient, sums + (size_t)number * stage.raw.frame.channels);
        return;
      }
      V* below = given(stages, s - 1, number);
      pass(stage, s, memory, number, gradient, used, stage.convolves ? of_raw : below);
      if (stage.convolves && stage.wants_input_gradient)
        convolutions[s].run(stage, frames[s], of_raw, without_border(stage.in.frame), below);
    }
  }

  // To the gradients of a stage's `raw`, and from them to those of its weights.
  void pass(const Stage& stage, int s, float* memory, int number, const V* gradient, Mask used, V* target) const {
    const Frame frame = frames[s];
    if (stage.convolves) clear_border(frame, target);
    const Groups groups(stage);
    for (int g = 0; g < groups.count(); g++) {
      const Group group = groups.group(g);
      if (stage.convolves && stage.passing) forward[s].run(stage, memory, number, group);
      const bool kept = !stage.convolves || stage.wants_input_gradient;  // else each group takes the place of the last
      V* to = target + (kept ? group.first * frame.plane() : 0);
      pass_gradients(stage, memory, number, gradient, plane, stage.norm == OF_BATCH ? factors : nullptr, used, group, frame, to);
      if (stage.convolves) convolutions[s].add_moments(stage, frame, to, memory, number, group);
    }
  }
};

// Lays out what a pass needs beside the maps, and gives the memory back at its end; `made` says whether there was any.
template <class Pass>
struct Working {
  Pass pass;
  Scratch scratch = {nullptr, 0};
  Working(const Stage* stages, int count, int blocks) {
    pass.prepare(stages, count, blocks, scratch);
    scratch.base = (char*)aligned_alloc(64, scratch.used + 64);
    scratch.used = 0;
    if (scratch.base) pass.prepare(stages, count, blocks, scratch);
  }
  ~Working() { free(scratch.base); }
  bool made() const { return scratch.base; }
};

}  // namespace

extern "C" {

int lanes(void) { return LANES; }
size_t stage_bytes(void) { return sizeof(Stage); }

// What the chain gives for dense images (count, channels, height, width); 0, or 1 where memory ran out.
int forward(const Stage* stages, int count, float* memory, int images, const float* given, float* result) {
  const int blocks = ceiling(images, LANES);
  const Frame &in = stages[0].in.frame, &out = stages[count - 1].out.frame;
  const size_t in_size = (size_t)in.channels * in.height * in.width, out_size = (size_t)out.channels * out.height * out.width;
  Working<Forward> working(stages, count, blocks);
  if (!working.made()) return 1;
  for (int s = 0; s < count; s++)
    if (stages[s].norm == OF_RUNNING) take_running(stages[s]);
  bool normalises = false;
  for (int first = 0; first < count;) {
    const int end = next_norm(stages, first + normalises, count);
    for (int b = 0; b < blocks; b++) {
      if (first == 0 && !normalises)
        pack(given + (size_t)b * LANES * in_size, images_of(images, b), in, stages[0].in.block(memory, b));
      working.pass.run(stages, count, first, normalises, memory, b);
      if (end == count)
        unpack(stages[count - 1].out.block(memory, b), out, images_of(images, b), result + (size_t)b * LANES * out_size);
    }
    if (end < count) join_statistics(stages[end], working.pass.statistics, images);
    first = end, normalises = true;
  }
  return 0;
}

// Gradients of the weights, into what the stages name, and of the images where they are wanted (else null).
int backward(const Stage* stages, int count, float* memory, int images, const float* given, float* result) {
  const int blocks = ceiling(images, LANES);
  const Frame in = without_border(stages[0].in.frame), out = without_border(stages[count - 1].out.frame);
  const size_t in_size = (size_t)in.channels * in.height * in.width, out_size = (size_t)out.channels * out.height * out.width;
  Working<Backward> working(stages, count, blocks);
  if (!working.made()) return 1;
  const Backward& pass = working.pass;
  bool normalised = false;
  for (int last = count - 1;;) {
    int waits = last - normalised;
    while (waits >= 0 && stages[waits].norm != OF_BATCH) waits--;
    for (int b = 0; b < blocks; b++) {
      const int here = images_of(images, b);
      if (last == count - 1 && !normalised)
        pack(given + (size_t)b * LANES * out_size, here, out, pass.given(stages, count - 1, b));
      pass.run(stages, last, normalised, memory, b, used_lanes(here));
      if (waits < 0 && result) unpack(pass.of_input, in, here, result + (size_t)b * LANES * in_size);
    }
    if (waits < 0) break;
    join_gradients(stages[waits], pass.sums, images, pass.factors);
    last = waits, normalised = true;
  }
  for (int s = 0; s < count; s++)
    if (stages[s].convolves) pass.convolutions[s].finish(stages[s]);
  return 0;
}
}
