// doctor.cpp -- `glossa doctor`: what this machine has, how fast it is, and what the program was made with.
#include <fmt/core.h>
#include <openssl/crypto.h>
#include <unistd.h>
#include <utf8proc.h>
#include <yaml-cpp/yaml.h>
#include <zlib.h>
#include <zstd.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>

#include "app/command.h"
#include "backend/cpu/cpu_features.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/version.h"

namespace glossa::app {
namespace {

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

struct Measured {
  double f32, bf16, read;  // operations and bytes a second
};

OrderedJson examine() {
  OrderedJson sets = OrderedJson::array();
  for (const cpu::InstructionSet set : cpu::supported_instruction_sets()) sets.push_back(cpu::name_of(set));
  const int threads = thread_count();
  const bool has_bf16 = cpu::instruction_set() == cpu::InstructionSet::avx512_bf16;
  const auto pages = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  constexpr double kMib = 1 << 20;
  return {{"glossa", kVersion},
          {"processor", processor()},
          {"threads", threads},
          {"instruction_sets", sets},
          {"instruction_set", cpu::name_of(cpu::instruction_set())},
          {"l2_cache_kib", cpu::l2_cache_bytes() >> 10},
          {"memory_mib", static_cast<std::int64_t>(pages / kMib)},
          {"memory_available_mib", available_memory() >> 20},
          {"f32_gflops", cpu::measure_peak_flops(false, threads) / 1e9},
          {"bf16_gflops", has_bf16 ? OrderedJson(cpu::measure_peak_flops(true, threads) / 1e9) : OrderedJson(nullptr)},
          {"memory_read_gb_per_second", cpu::measure_read_bandwidth(threads) / 1e9},
          {"libraries",
           {{"CLI11", CLI11_VERSION},
            {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
            {"nlohmann-json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
            {"openssl", OpenSSL_version(OPENSSL_VERSION)},
            {"utf8proc", utf8proc_version()},
            {"zlib", zlibVersion()},
            {"zstd", ZSTD_versionString()}}}};
}

std::string as_text(const OrderedJson& found) {
  std::string text;
  for (const auto& [key, value] : found.items()) {
    if (value.is_object()) {
      text += key + ":\n";
      for (const auto& [name, version] : value.items()) text += fmt::format("  {:<24} {}\n", name, version.get<std::string>());
      continue;
    }
    std::string shown = value.is_string() ? value.get<std::string>() : value.is_number_float() ? fmt::format("{:.1f}", value.get<double>()) : value.dump();
    if (value.is_null()) shown = "none";
    if (value.is_array()) {
      shown.clear();
      for (const auto& each : value) shown += (shown.empty() ? "" : ", ") + each.get<std::string>();
    }
    text += fmt::format("{:<26} {}\n", key, shown);
  }
  return text;
}

}  // namespace

void add_doctor(CLI::App& program) {
  CLI::App* command = program.add_subcommand("doctor", "Show processor, instruction sets, memory, measured limits and libraries");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "One JSON object");
  add_threads_option(*command);
  command->footer("Examples:\n  glossa doctor\n  GLOSSA_ISA=avx2 glossa doctor --json");
  command->callback([json] {
    const OrderedJson found = examine();
    StandardOutput out;
    out.write(*json ? to_text(found) : as_text(found));
    out.flush();
  });
}

}  // namespace glossa::app
