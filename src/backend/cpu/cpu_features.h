// cpu_features.h -- what this processor has: instruction sets chosen at run time, cache sizes, and its limits measured.
// Thread-safe, except that set_instruction_set() must not run beside kernels.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace glossa::cpu {

// From the slowest to the fastest. `portable` is what every machine of the architecture has: NEON on 64-bit ARM, no
// vectors on x86.
enum class InstructionSet : std::uint8_t { portable, avx2, avx512, avx512_bf16 };

std::string_view name_of(InstructionSet);
const std::vector<InstructionSet>& supported_instruction_sets();  // on this machine, slowest first
InstructionSet best_instruction_set();                            // the last of those

// What kernels use: the best, unless the environment's GLOSSA_ISA names another (portable, avx2, avx512, avx512_bf16).
// Error(bad_value) when it names none of those supported here.
InstructionSet instruction_set();
void set_instruction_set(InstructionSet);  // for tests and benchmarks; Highway's dynamic dispatch follows

std::size_t l2_cache_bytes();

// Multiplications and additions a second in registers, with the instruction set in use, summed over threads: the best
// of about 50 ms. For bf16: its dot products, or f32 where there are none.
double measure_peak_flops(bool bf16, int threads);
// Bytes a second read from memory by all threads together, each from a buffer larger than the caches: about 100 ms.
double measure_read_bandwidth(int threads);

}  // namespace glossa::cpu
