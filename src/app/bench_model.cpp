#include "app/bench_model.h"

#include <algorithm>
#include <chrono>

#include "app/causal.h"
#include "app/command.h"
#include "app/measure.h"
#include "backend/cpu/cpu_features.h"
#include "base/error.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/random.h"

namespace glossa::app {
namespace {

using Clock = std::chrono::steady_clock;

// Sequences of random tokens that are written to their end.
class Run {
 public:
  Run(const CausalModel& model, std::int64_t sequences, const CacheTypes& cache)
      : model_(model), engine_(model, kNothingBreaks, {.sequences = sequences, .kept = 0, .cache = cache}), sequences_(sequences) {}

  struct Seconds {
    double first = 0, others = 0;  // until each sequence has its first token; from there to the end
  };
  Seconds operator()(std::int64_t prompt, std::int64_t generate) {
    SamplingConfig greedy;
    greedy.temp = 0;
    for (std::int64_t s = 0; s < sequences_; ++s)
      engine_.submit({.index = static_cast<std::uint64_t>(s), .prompt = random_tokens(prompt), .sampling = greedy,
                      .max_new_tokens = static_cast<std::int32_t>(generate)});
    Seconds seconds;
    std::vector<GenerateEvent> events;
    const auto begin = Clock::now();
    const std::uint64_t before = engine_.counts().generated;
    while (engine_.counts().generated < before + static_cast<std::uint64_t>(sequences_)) engine_.step(events);
    // Of many sequences the first to begin have written more by now than those that were read last.
    written_ = engine_.counts().generated - before;
    seconds.first = seconds_since(begin);
    const auto middle = Clock::now();
    while (!engine_.idle()) engine_.step(events);
    seconds.others = seconds_since(middle);
    return seconds;
  }
  // Tokens that the last run wrote in Seconds::others.
  double others(std::int64_t generate) const { return static_cast<double>(sequences_ * generate) - static_cast<double>(written_); }

 private:
  std::vector<std::int32_t> random_tokens(std::int64_t count) {
    std::vector<std::int32_t> tokens;
    for (std::int64_t i = 0; i < count; ++i)
      tokens.push_back(static_cast<std::int32_t>(random_.below(drawn_++, static_cast<std::uint64_t>(model_.vocabulary()))));
    return tokens;
  }

  const CausalModel& model_;
  Engine engine_;
  std::int64_t sequences_;
  std::uint64_t written_ = 0, drawn_ = 0;
  Philox random_{42, Purpose::sample};
};

// Bytes of the weights that every token needs: of a table of embeddings only one row, unless it is the head as well.
double weight_bytes(const ParameterList& parameters) {
  double all = 0, table = 0;
  bool head = false;
  for (const Parameter& p : parameters.all()) {
    double bytes = 0;
    if (p.value()) bytes = static_cast<double>(p.value().bytes());
    for (const Tensor& piece : p.pieces()) bytes += static_cast<double>(piece.bytes());
    if (p.name() == "model.embed_tokens.weight") table = bytes;
    if (p.name() == "lm_head.weight") head = true;
    all += bytes;
  }
  return head ? all - table : all;
}

}  // namespace

void bench_model(const ModelBench& o) {
  const auto started = Clock::now();
  const LoadedCausalModel loaded = load_causal(o.files);
  const CausalModel& model = *loaded.model;
  const double load_seconds = seconds_since(started);
  check(o.prompt < model.longest() && o.generate < model.longest(), Code::bad_value,
        "a prompt of {} tokens and {} to generate do not fit the model's {} positions", o.prompt, o.generate, model.longest());
  Run one(model, 1, o.cache), many(model, o.batch, o.cache);
  const double first_seconds = load_seconds + one(o.prompt, 1).first;
  std::vector<double> prefill, decode, batch, bandwidth;
  double peak_memory = 0;  // before memory is taken to measure the bandwidth
  for (int run = 0; run < o.runs; ++run) {
    prefill.push_back(static_cast<double>(o.prompt) / one(o.prompt, 1).first);
    const Run::Seconds single = one(1, o.generate + 1);
    decode.push_back(one.others(o.generate + 1) / single.others);
    const Run::Seconds together = many(1, o.generate + 1);
    batch.push_back(many.others(o.generate + 1) / together.others);
    if (run == 0) peak_memory = peak_memory_mib();
    bandwidth.push_back(cpu::measure_read_bandwidth(thread_count()));
  }
  const double read = weight_bytes(*loaded.parameters) * median(decode) / median(bandwidth);
  StandardOutput out;
  if (o.json) {
    out.write(to_line(OrderedJson{{"model", o.files.model},
                                  {"prompt", o.prompt},
                                  {"generate", o.generate},
                                  {"batch", o.batch},
                                  {"prefill_tokens_per_second", median(prefill)},
                                  {"decode_tokens_per_second", median(decode)},
                                  {"batch_decode_tokens_per_second", median(batch)},
                                  {"share_of_bandwidth", read},
                                  {"bandwidth_gb_per_second", median(bandwidth) / 1e9},
                                  {"first_token_seconds", first_seconds},
                                  {"peak_memory_mib", peak_memory},
                                  {"instruction_set", std::string(cpu::name_of(cpu::instruction_set()))},
                                  {"threads", thread_count()}}));
  } else {
    const auto row = [&out](const std::string& what, double rate, const std::string& more) {
      out.write(fmt::format("{:<42} {:>10.1f} tokens/s{}\n", what, rate, more));
    };
    out.write(fmt::format("{} ({}, {} threads)\n", o.files.model, cpu::name_of(cpu::instruction_set()), thread_count()));
    row(fmt::format("read a prompt of {} tokens", o.prompt), median(prefill), "");
    row(fmt::format("write {} tokens", o.generate), median(decode),
        fmt::format("   {:.0f} % of the bandwidth of {:.1f} GB/s", 100 * read, median(bandwidth) / 1e9));
    row(fmt::format("write {} tokens of each of {} texts", o.generate, o.batch), median(batch), "");
    out.write(fmt::format("{:<42} {:>10.3f} s\n{:<42} {:>10.0f} MiB\n", "load, and read the first prompt", first_seconds,
                          "peak memory", peak_memory));
  }
  out.flush();
}

}  // namespace glossa::app
