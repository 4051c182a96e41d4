#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>

#include "app/command.h"
#include "app/presets.h"
#include "backend/cpu/cpu_features.h"
#include "base/json.h"
#include "base/parallel.h"
#include "train/update.h"

namespace glossa::app {
namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double peak_memory_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

struct Measured {
  std::string name;
  double tokens_per_second, gflops, share_of_peak;
};

void print(const Measured& m, bool json) {
  const std::string isa(cpu::name_of(cpu::instruction_set()));
  const double memory = peak_memory_mib();
  StandardOutput out;
  if (json) {
    const OrderedJson line{{"name", m.name},
                           {"tokens_per_second", m.tokens_per_second},
                           {"gflops", m.gflops},
                           {"share_of_peak", m.share_of_peak},
                           {"instruction_set", isa},
                           {"threads", thread_count()},
                           {"peak_memory_mib", memory}};
    out.write(line.dump() + "\n");
  } else {
    out.write(fmt::format("{}: {:.1f} tokens/s, {:.1f} GFLOP/s ({:.0f} % of the measured peak), {} threads, {}, {:.0f} MiB\n", m.name,
                          m.tokens_per_second, m.gflops, 100 * m.share_of_peak, thread_count(), isa, memory));
  }
  out.flush();
}

struct TrainBench {
  std::string preset = "encdec-base";
  bool bf16 = false, json = false;
  double dropout = -1;
  int steps = 10;
};

void bench_train(const TrainBench& options) {
  Preset p = preset(options.preset);
  if (options.dropout >= 0) p.config.dropout = options.dropout;
  check(!options.bf16 || cpu::instruction_set() == cpu::InstructionSet::avx512_bf16, Code::bad_value,
        "--bf16: this processor has no bf16 products (instruction set {})", cpu::name_of(cpu::instruction_set()));
  ParameterList parameters({});
  const Transformer model(parameters, p.config);
  TrainRecipe recipe = Recipe().train;
  Updater update(model, parameters, recipe, options.bf16);
  const Seq2SeqBatch batch = random_batch(p, 1);
  std::vector<double> times, peaks;
  for (int step = 1; step <= options.steps + 2; ++step) {
    const double begin = seconds();
    update(std::span(&batch, 1), step);
    if (step > 2) times.push_back(seconds() - begin);  // two to warm up
    if (step % 4 == 0 || step <= 2) peaks.push_back(cpu::measure_peak_flops(options.bf16, thread_count()));
  }
  const double time = median(times), rate = update_flops(p.config, batch) / time;
  print({fmt::format("train {} {}", p.name, options.bf16 ? "bf16" : "f32"), static_cast<double>(batch.labels.elements()) / time,
         rate / 1e9, rate / median(peaks)},
        options.json);
}

}  // namespace

void add_bench(CLI::App& program) {
  CLI::App* bench = program.add_subcommand("bench", "Measure speed on random weights; no data needed");
  bench->require_subcommand(1);
  bench->footer("Examples:\n  glossa bench train --preset encdec-small --bf16 --json\n  GLOSSA_ISA=avx2 glossa bench train");

  auto train = std::make_shared<TrainBench>();
  CLI::App* command = bench->add_subcommand("train", "Updates of the weights: target tokens a second");
  command->add_option("--preset", train->preset, "Model and batch")->check(CLI::IsMember(preset_names()))->capture_default_str();
  command->add_flag("--bf16", train->bf16, "Matrix products in bf16");
  command->add_option("--dropout", train->dropout, "Instead of the preset's 0.1")->check(CLI::Range(0.0, 0.99));
  command->add_option("--steps", train->steps, "Steps measured; the median counts")->check(CLI::Range(1, 100000))->capture_default_str();
  command->add_flag("--json", train->json, "One JSON object");
  add_threads_option(*command);
  command->callback([train] { bench_train(*train); });
}

}  // namespace glossa::app
